package bpe

import "strings"

// byteRune is GPT-2's spelling of bytes as printable characters: bytes that print
// stand for themselves, the others for U+0100 and up in order.
// https://github.com/openai/gpt-2/blob/master/src/encoder.py bytes_to_unicode
var byteRune = func() (t [256]rune) {
	next := rune(256)
	for b := range rune(256) {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae && b <= 0xff {
			t[b] = b
			continue
		}
		t[b] = next
		next++
	}
	return t
}()

var runeByte = func() map[rune]byte {
	m := make(map[rune]byte, 256)
	for b, r := range byteRune {
		m[r] = byte(b)
	}
	return m
}()

// spell is the spelling of raw bytes in a vocabulary.
func spell(raw string) string {
	var b strings.Builder
	for i := range len(raw) {
		b.WriteRune(byteRune[raw[i]])
	}
	return b.String()
}

// unspell gives the raw bytes of a vocabulary entry. An entry with a character
// outside of the byte alphabet stands for itself.
func unspell(token string) string {
	raw := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := runeByte[r]
		if !ok {
			return token
		}
		raw = append(raw, b)
	}
	return string(raw)
}
