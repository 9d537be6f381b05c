/** A text that something could read as true or false. */
export const readsAsTruth = (text: string): boolean => /^\s*(?:[01]|t|tr|tru|true|f|fa|fal|fals|false|y|ye|yes|n|no|on|of|off)\s*$/i.test(text)
