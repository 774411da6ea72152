package gguf

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// cursor reads little-endian numbers from a file in memory.
type cursor struct {
	data []byte
	at   int
}

func (c *cursor) take(n int) ([]byte, error) {
	if n > len(c.data)-c.at {
		return nil, fmt.Errorf("%w: it ends at byte %d, inside of the header", ErrCorrupt, len(c.data))
	}
	c.at += n
	return c.data[c.at-n : c.at], nil
}

func (c *cursor) u32() (uint32, error) {
	b, err := c.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) u64() (uint64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// text reads a string: its length and its bytes.
func (c *cursor) text() (string, error) {
	n, err := c.u64()
	if err != nil {
		return "", err
	}
	if n > uint64(len(c.data)-c.at) {
		return "", fmt.Errorf("%w: a string of %d bytes ends behind the file", ErrCorrupt, n)
	}
	b, err := c.take(int(n))
	return string(b), err
}

// name reads the name of a tensor or a key.
func (c *cursor) name() (string, error) {
	s, err := c.text()
	if err == nil && (s == "" || len(s) > maxName || !utf8.ValidString(s)) {
		return "", fmt.Errorf("%w: a name of %d bytes that is empty, too long or no UTF-8", ErrCorrupt, len(s))
	}
	return s, err
}
