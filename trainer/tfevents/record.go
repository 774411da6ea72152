package tfevents

import (
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of a record.
func masked(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// appendRecord adds a record with data to dst.
func appendRecord(dst, data []byte) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(len(data)))
	dst = binary.LittleEndian.AppendUint32(dst, masked(dst[at:]))
	dst = append(dst, data...)
	return binary.LittleEndian.AppendUint32(dst, masked(data))
}

const (
	headSize = 8 + 4
	tailSize = 4
)

// nextRecord splits the first record from a file's text. It reports false where there is no
// whole and sound one.
func nextRecord(text []byte) (data, rest []byte, ok bool) {
	if len(text) < headSize || binary.LittleEndian.Uint32(text[8:]) != masked(text[:8]) {
		return nil, text, false
	}
	n := binary.LittleEndian.Uint64(text)
	if n > uint64(len(text)) || uint64(len(text)) < headSize+n+tailSize {
		return nil, text, false
	}
	data = text[headSize : headSize+n]
	rest = text[headSize+n:]
	if binary.LittleEndian.Uint32(rest) != masked(data) {
		return nil, text, false
	}
	return data, rest[tailSize:], true
}
