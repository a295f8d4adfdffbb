/** So much of an answer is read. Bytes. */
const BEGINNING = 256 * 1024;

/** The beginning of an answer's text, as far as it is of interest; the rest is not waited for. */
export async function beginningOf({ body }: { body: AsyncIterable<Uint8Array> | null }): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size >= BEGINNING) break; // ends the stream, too
  }
  return Buffer.concat(chunks).subarray(0, BEGINNING).toString("utf8");
}
