// Checks an RFC 6962 inclusion proof here in the browser, so that nobody has to take the node's word for it.
// Section 2.1.1: the audit path leads from the leaf's hash to the root of a tree with `size` leaves.

export function fromHex(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new Error('not hexadecimal');
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export async function nodeHash(left: Uint8Array, right: Uint8Array): Promise<Uint8Array> {
  const joined = new Uint8Array(1 + left.length + right.length);
  joined[0] = 1;
  joined.set(left, 1);
  joined.set(right, 1 + left.length);
  return new Uint8Array(await crypto.subtle.digest('SHA-256', joined));
}

export async function rootFromProof(leafHash: string, leaf: number, size: number, path: readonly string[]): Promise<string> {
  if (!(leaf >= 0 && leaf < size)) throw new Error(`leaf ${leaf} is not in a tree of ${size}`);
  let fn = leaf;
  let sn = size - 1;
  let hash = fromHex(leafHash);
  for (const step of path) {
    if (sn === 0) throw new Error('the proof is longer than the tree is high');
    if (fn % 2 === 1 || fn === sn) {
      hash = await nodeHash(fromHex(step), hash);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else {
      hash = await nodeHash(hash, fromHex(step));
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  if (sn !== 0) throw new Error('the proof is shorter than the tree is high');
  return toHex(hash);
}
