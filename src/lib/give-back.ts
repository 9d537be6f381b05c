/**
 * Memory that nobody looks at any more, given back by hand. The collector counts such memory until it has looked through everything there is;
 * where bytes pass at full speed it looks through everything again and again, for nothing. Views of it are empty from then on.
 */
export const giveBack = (memory: ArrayBufferLike | undefined): void => {
  if (memory instanceof ArrayBuffer && !memory.detached) memory.transfer(0)
}
