/** Whether two number texts mean the same decimal number, however they write it. */
export const sameDecimal = (a: string, b: string): boolean => a === b || decimalOf(a) === decimalOf(b)

const decimalOf = (text: string): string => {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`
}

/**
 * Whether a text of digits is the only one of its double: no other whole number is written canonically as it is.
 * From 1e21 on a double is written with an exponent; there it must mean just that number.
 */
export const isExactInteger = (digits: string): boolean => {
  const value = Number(digits)
  return Number.isSafeInteger(value) || (Math.abs(value) >= 1e21 && Number.isFinite(value) && sameDecimal(digits, String(value)))
}
