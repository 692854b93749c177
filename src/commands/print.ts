/** Writes to standard output; gives the exit status of a command that did its work. */
export function print(text: string): number {
  // Whoever reads may have had enough, like head.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  process.stdout.write(text);
  return 0;
}
