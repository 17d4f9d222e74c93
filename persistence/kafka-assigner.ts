/**
 * Which member of the group owns which partitions: the same number of every topic at one node, few moves when
 * members come and go. Owns the choice; the group protocol is Kafka's and kafkajs'.
 */
import { AssignerProtocol, type PartitionAssigner } from "kafkajs";

/**
 * Rendezvous hashing with a bound on load: every partition prefers the member with the highest score for the pair,
 * and a member takes at most ceil(partitions / members). A member that joins or leaves thus moves about its own
 * share; nobody has to remember the previous assignment.
 */
export function assignPartitions(members: readonly string[], partitions: number): Map<string, number[]> {
	const sorted = [...members].sort();
	const shares = new Map<string, number[]>(sorted.map((member) => [member, []]));
	const most = Math.ceil(partitions / Math.max(sorted.length, 1));
	for (let partition = 0; partition < partitions; partition++) {
		const open = sorted.filter((member) => (shares.get(member) as number[]).length < most);
		const best = open.reduce((a, b) => (score(b, partition) > score(a, partition) ? b : a));
		shares.get(best)?.push(partition);
	}
	return shares;
}

export const coPartitionedAssigner: PartitionAssigner = ({ cluster }) => ({
	name: "MycelogCoPartitioned",
	version: 1,
	async assign({ members, topics }) {
		const counts = topics.map((topic) => cluster.findTopicPartitionMetadata(topic).length);
		const shares = assignPartitions(
			members.map(({ memberId }) => memberId),
			Math.max(0, ...counts),
		);
		return [...shares].map(([memberId, numbers]) => {
			const assignment = Object.fromEntries(
				topics.map((topic, i) => [topic, numbers.filter((number) => number < (counts[i] as number))]),
			);
			const userData = Buffer.alloc(0);
			return {
				memberId,
				memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 1, assignment, userData }),
			};
		});
	},
	protocol({ topics }) {
		const userData = Buffer.alloc(0);
		return {
			name: "MycelogCoPartitioned",
			metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics, userData }),
		};
	},
});

function score(member: string, partition: number): number {
	let hash = 0x811c9dc5 ^ partition;
	for (let i = 0; i < member.length; i++) hash = Math.imul(hash ^ member.charCodeAt(i), 0x01000193);
	hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
	hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
	return (hash ^ (hash >>> 15)) >>> 0;
}
