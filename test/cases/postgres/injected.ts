/** What somebody between the product and the server says in place of an answer: a notice, a notification and an error, far too long and with a value of the fixture in them. */
export const injected = (): Buffer => {
  const long = '123-45-6789 '.repeat(90_000)
  const fields = (values: Readonly<Record<string, string>>): Buffer => Buffer.from(`${Object.entries(values).map(([letter, value]) => `${letter}${value}\0`).join('')}\0`)
  const framed = (type: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(5)
    head.write(type, 'latin1')
    head.writeInt32BE(body.length + 4, 1)
    return Buffer.concat([head, body])
  }
  return Buffer.concat([
    framed('N', fields({ S: 'NOTICE', V: 'NOTICE', C: '00000', M: long })),
    framed('A', Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from(`ch\0${long.slice(0, 7_000)}\0`)])),
    framed('E', fields({ S: 'ERROR', V: 'ERROR', C: '22000', M: 'no', D: long })),
    framed('Z', Buffer.from('I')),
  ])
}
