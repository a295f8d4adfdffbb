/** One line to standard output, with the time: the supervisor keeps it in the machine room's log file. */
export const log = (line: string): void => void process.stdout.write(`${new Date().toISOString()} ${line}\n`);
