/**
 * What may have become of a dead letter, and how fast letters are sent again. Owns words and numbers alone: the command
 * line's help has them before anything runs.
 */

export const LETTER_STATUSES = ["open", "retried", "dropped"] as const;
export type LetterStatus = (typeof LETTER_STATUSES)[number];

/** Letters sent in a second, if nobody says, and at most. */
export const RETRIES_A_SECOND_DEFAULT = 100;
export const RETRIES_A_SECOND_MAX = 10_000;
