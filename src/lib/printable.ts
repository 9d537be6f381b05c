/** JSON text with every character outside printable ASCII spelled `\uXXXX`: it decodes to the same. A character outside makes the UTF-8 form longer; only DEL does not. Both checks are a fraction of a pattern's cost. */
export const printable = (json: string): string =>
  Buffer.byteLength(json) === json.length && !json.includes('\x7f') ? json : json.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
