/**
 * Makes a probe once. Ends when the signal aborts, and then may say what it last heard, or nothing ("").
 * @returns undefined where all is well, else why not, in one line
 * @throws SourceError where it could not be made at all, so that nothing is known: a command that is not there, a permission that is
 *   missing. Any other error is an answer: the probe failed for its reason.
 */
export type Probe = (signal: AbortSignal) => Promise<string | undefined>;
