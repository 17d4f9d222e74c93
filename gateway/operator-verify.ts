/**
 * Stored snapshots compared with folds of the log, of a whole cluster: each node answers for the partitions it owns, since
 * what another has stored of them was right once. Owns asking the owners and putting the answers together.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type PartitionId, partitionName } from "../persistence/log.ts";
import { nodeIdOf } from "../runtime/node-name.ts";
import type { Question } from "../runtime/node-questions.ts";
import { mailboxesOf, mailboxOf } from "../runtime/operator.ts";
import { readableJson } from "../runtime/readable-json.ts";
import { REBUILDS_UNDER_WAY_MAX } from "../runtime/rebuild-live.ts";
import { type Verification, verify } from "../runtime/verify.ts";
import { type Survey, survey } from "../runtime/verify-many.ts";
import { HttpError } from "./http-exchange.ts";
import type { OperatorContext, OperatorRoutes } from "./operator-api.ts";

/** For another node's answer, milliseconds: a fold of all its partitions, and less than whoever asks waits. */
export const OTHERS_VERIFY_MS_MAX = 50_000;
/** Characters of one node's answer to another: a record holds little more. */
const ANSWER_CHARACTERS_MAX = 500_000;

const VERIFY = "verify.ask";
const SURVEY = "survey.ask";

/** Of a whole cluster. */
export interface ClusterSurvey extends Survey {
	/** Names of partitions that no node answered for. */
	readonly unanswered: readonly string[];
}

/** Of the partitions of one node. */
interface Share extends Survey {
	/** Their names. */
	readonly partitions: readonly string[];
}

export function addVerify(routes: OperatorRoutes, context: OperatorContext): void {
	const { node, reading } = context;
	const { questions, nodes, name } = node;
	const owned = () => node.partitions.map(({ id }) => partitionName(id));
	const stored = () => ({ ...reading, snapshots: node.operator.snapshots });

	async function share({ type, under, limit }: Question): Promise<Share> {
		const before = new Set(owned());
		const isKept = (id: PartitionId) => before.has(partitionName(id));
		const filter = { type: type as string | undefined, under: under as string | undefined, isKept };
		const found = await survey(stored(), filter, limit as number);
		// One that went to another node meanwhile was not compared with what counts.
		return { ...found, partitions: owned().filter((one) => before.has(one)) };
	}

	async function one(address: string): Promise<Verification> {
		const { partition } = mailboxOf(reading, address);
		const mailbox = partitionName(partition);
		if (owned().includes(mailbox)) return verify(stored(), address);
		// A log that does not answer is told as such: the others are asked through it.
		await reading.log.bounds(partition);
		const statuses = await node.others();
		const owner = statuses.find(({ partitions }) => partitions.some((one) => partitionName(one) === mailbox));
		const process = nodes.names.find((other) => nodeIdOf(other) === owner?.node);
		if (!questions || !process) {
			throw new HttpError(
				409,
				`no node that answers owns ${mailbox} just now and keeps the snapshot of ${address}`,
			);
		}
		return (await questions.ask(process, VERIFY, { address }, OTHERS_VERIFY_MS_MAX)) as Verification;
	}

	async function all(question: Question): Promise<ClusterSurvey> {
		const others = questions ? nodes.names.filter((other) => other !== name.text) : [];
		const asked = others.map(async (other) => {
			return (await questions?.ask(other, SURVEY, question, OTHERS_VERIFY_MS_MAX)) as Share;
		});
		// What another one could not answer shows by its partitions.
		const [own, answers] = await Promise.all([share(question), Promise.allSettled(asked)]);
		const shares = [own, ...answers.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []))];
		const mailboxes = mailboxesOf(reading, question["type"] as string | undefined).map(partitionName);
		return together(shares, mailboxes, question["limit"] as number);
	}

	questions?.on(VERIFY, async ({ address }) => {
		const mailbox = partitionName(mailboxOf(reading, address as string).partition);
		// It may have gone on since.
		if (!owned().includes(mailbox)) throw new MycelogError("log.fenced", `${mailbox} has another owner now`);
		return sendable(await verify(stored(), address as string));
	});
	questions?.on(SURVEY, async (question) => shortened(await share(question)));
	routes.question(
		"verify",
		"Compare an actor's stored snapshot, as its owner has it, with a fresh fold of the log",
		{ address: "the actor: type/id" },
		(query) => one(query.needed("address")),
	);
	routes.question(
		"verify/many",
		"Compare the stored snapshots of many actors, as their owners have them, with a fresh fold of the log",
		{
			type: "only actors of this type",
			under: "only addresses that start with this",
			limit: `name at most so many that are wrong, up to ${REBUILDS_UNDER_WAY_MAX}`,
		},
		(query) =>
			all({
				type: query.text("type"),
				under: query.text("under"),
				limit: query.whole("limit", REBUILDS_UNDER_WAY_MAX) ?? REBUILDS_UNDER_WAY_MAX,
			}),
	);
}

/** `most`: wrong ones that are named. */
function together(shares: readonly Share[], mailboxes: readonly string[], most: number): ClusterSurvey {
	const answered = new Set(shares.flatMap(({ partitions }) => partitions));
	const unanswered = mailboxes.filter((mailbox) => !answered.has(mailbox));
	const total = (of: (share: Share) => number) => shares.reduce((sum, share) => sum + of(share), 0);
	return {
		ok: unanswered.length === 0 && shares.every(({ ok }) => ok),
		checked: total(({ checked }) => checked),
		records: total(({ records }) => records),
		wrong: total(({ wrong }) => wrong),
		skipped: shares.flatMap(({ skipped }) => skipped),
		actors: shares.flatMap(({ actors }) => actors).slice(0, most),
		unanswered,
	};
}

/** As whoever asked the node itself would get it. Throws `log.record-too-large`. */
function sendable<Answer>(answer: Answer): Answer {
	const text = readableJson(answer);
	if (text.length <= ANSWER_CHARACTERS_MAX) return JSON.parse(text) as Answer;
	const words = `the answer of ${text.length} characters is too large to go from node to node: ask the owner itself`;
	throw new MycelogError("log.record-too-large", words, { limit: ANSWER_CHARACTERS_MAX });
}

/** With fewer that are named, if they are too large; how many there are is told all the same. */
function shortened(share: Share): Share {
	let { actors } = share;
	while (actors.length > 0 && readableJson({ ...share, actors }).length > ANSWER_CHARACTERS_MAX)
		actors = actors.slice(0, Math.floor(actors.length / 2));
	return sendable({ ...share, actors });
}
