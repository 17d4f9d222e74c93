/**
 * The addresses a Kafka log was given, those that answered first. Owns their order, which all connections of the log
 * share: what one of them found silent, the others need not wait for.
 */
export class KafkaAddresses {
	#order: readonly string[];

	constructor(addresses: readonly string[]) {
		this.#order = addresses;
	}

	get order(): readonly string[] {
		return this.#order;
	}

	/** Nobody answered there: it is asked last from now on. */
	failed(address: string): void {
		if (!this.#order.includes(address)) return;
		this.#order = [...this.#order.filter((one) => one !== address), address];
	}
}
