"""Canonical JSON (RFC 8785) a second time, in another language and from the text of the standard alone.

Reads a JSON list of texts, writes a JSON list: the canonical form of each, or null where it is refused.
"""
import json
import sys
from decimal import Decimal

ESCAPES = {'"': '\\"', '\\': '\\\\', '\b': '\\b', '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r'}


class Refused(Exception):
    pass


def refuse(_):
    raise Refused


def whole(text):
    number = int(text)
    if abs(number) < 2**53:
        return number
    double = float(text)
    if abs(double) < 1e21 or Decimal(repr(double)) != Decimal(text):
        raise Refused
    return double


def fraction(text):
    double = float(text)
    if double in (float('inf'), float('-inf')):
        raise Refused
    return double


def members(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys) or '__proto__' in keys:
        raise Refused
    return dict(pairs)


def number(value):
    if value == 0:
        return '0'
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = ''.join(map(str, digits))
    point = len(text) + exponent
    if len(text) <= point <= 21:
        body = text + '0' * (point - len(text))
    elif 0 < point <= 21:
        body = text[:point] + '.' + text[point:]
    elif -6 < point <= 0:
        body = '0.' + '0' * -point + text
    else:
        power = point - 1
        body = text[0] + ('.' + text[1:] if len(text) > 1 else '') + 'e' + ('+' if power > 0 else '-') + str(abs(power))
    return ('-' if sign else '') + body


def string(value):
    value.encode('utf-8')  # half of a surrogate pair cannot be
    return '"' + ''.join(ESCAPES.get(c) or ('\\u%04x' % ord(c) if c < ' ' else c) for c in value) + '"'


def write(value):
    if value is None:
        return 'null'
    if value is True or value is False:
        return 'true' if value else 'false'
    if isinstance(value, str):
        return string(value)
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, list):
        return '[' + ','.join(map(write, value)) + ']'
    keys = sorted(value, key=lambda key: key.encode('utf-16-be', 'surrogatepass'))
    return '{' + ','.join(string(key) + ':' + write(value[key]) for key in keys) + '}'


def canonical(text):
    try:
        return write(json.loads(text, object_pairs_hook=members, parse_int=whole, parse_float=fraction, parse_constant=refuse))
    except (Refused, UnicodeEncodeError):
        return None


json.dump([canonical(text) for text in json.load(sys.stdin)], sys.stdout)
