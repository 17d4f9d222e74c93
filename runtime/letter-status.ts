/** What may have become of a dead letter. Owns the words alone: the command line's help has them before anything runs. */

export const LETTER_STATUSES = ["open", "retried", "dropped"] as const;
export type LetterStatus = (typeof LETTER_STATUSES)[number];
