package bpe

import "strings"

// The cache of words is bounded in entries and in the length of a word, so in
// memory: about 4 MB when full. A full cache is emptied; text soon fills it again
// with the words it uses.
const (
	cacheWords   = 1 << 15
	cacheWordLen = 32 // bytes
)

// wordCache remembers the ids of words.
type wordCache struct {
	at  map[string]span
	ids []int32
}

type span struct{ from, to int32 }

func newWordCache() *wordCache { return &wordCache{at: map[string]span{}} }

func (c *wordCache) get(word string) ([]int32, bool) {
	if len(word) > cacheWordLen {
		return nil, false
	}
	s, ok := c.at[word]
	return c.ids[s.from:s.to], ok
}

func (c *wordCache) put(word string, ids []int32) {
	if len(word) > cacheWordLen {
		return
	}
	if len(c.at) >= cacheWords {
		clear(c.at)
		c.ids = c.ids[:0]
	}
	from := int32(len(c.ids))
	c.ids = append(c.ids, ids...)
	c.at[strings.Clone(word)] = span{from, int32(len(c.ids))}
}
