package evaluate

import (
	"slices"
	"strings"
	"unicode"

	"github.com/cespare/xxhash/v2"
)

// NearJaccard is the share of shingles from which on two texts are near duplicates.
const NearJaccard = 0.7

// A text is looked at as the set of its shingles: runs of shingleWords words, of the first nearWords words. Its MinHash
// signature has bands × bandHashes values; texts that agree in a band are candidates, and are then compared in full. Two
// texts of Jaccard index J are missed with probability (1−J⁴)³²: 1.5e-4 at 0.7.
const (
	shingleWords = 5
	nearWords    = 2000
	bands        = 32
	bandHashes   = 4
	// nearTried bounds the candidates of one text: where hundreds of texts are alike, some are enough.
	nearTried = 64
	// Boilerplate, such as a template or examples that stand in every prompt, is what more than a share of the texts have
	// (and more than a few), by a sample of them.
	boilerplateSample = 1000
	boilerplateShare  = 0.2
	boilerplateTexts  = 20
)

// Near finds near duplicates among texts: those that share NearJaccard of their shingles (Broder 1997, with the bands of
// Leskovec, Rajaraman and Ullman's Mining of Massive Datasets, chapter 3). Case, spacing and the punctuation around words
// do not count, nor does what a fifth of the texts have in common, such as a template; in scripts without spaces every
// character is a word. Empty texts have no duplicates.
type Near struct {
	texts       []string
	boilerplate map[uint64]bool
	buckets     map[band][]int32
}

// band is a part of a signature, with its place.
type band struct {
	at   int
	hash uint64
}

// NewNear prepares the search among texts.
func NewNear(texts []string) *Near {
	n := &Near{texts: texts, boilerplate: boilerplate(texts), buckets: map[band][]int32{}}
	for i, t := range texts {
		for _, b := range signature(n.shingles(t)) {
			n.buckets[b] = append(n.buckets[b], int32(i))
		}
	}
	return n
}

// Of lists the texts that are near duplicates of one, by their indices. It does not change n.
func (n *Near) Of(text string) (found []int) {
	set := n.shingles(text)
	seen := map[int32]bool{}
	for _, b := range signature(set) {
		for _, i := range n.buckets[b] {
			if seen[i] || len(seen) == nearTried {
				continue
			}
			seen[i] = true
			if jaccard(set, n.shingles(n.texts[i])) >= NearJaccard {
				found = append(found, int(i))
			}
		}
	}
	slices.Sort(found)
	return found
}

// boilerplate are the shingles that many texts have.
func boilerplate(texts []string) map[uint64]bool {
	step := max(1, len(texts)/boilerplateSample)
	count, looked := map[uint64]int{}, 0
	for i := 0; i < len(texts); i += step {
		for _, v := range shingles(texts[i]) {
			count[v]++
		}
		looked++
	}
	common := map[uint64]bool{}
	for v, n := range count {
		if n > boilerplateTexts && float64(n) > boilerplateShare*float64(looked) {
			common[v] = true
		}
	}
	return common
}

// shingles is the set of a text without the boilerplate.
func (n *Near) shingles(text string) []uint64 {
	return slices.DeleteFunc(shingles(text), func(v uint64) bool { return n.boilerplate[v] })
}

// shingles is the set of a text's shingles, as ascending hashes. A text of fewer words is one shingle.
func shingles(text string) []uint64 {
	w := words(text)
	if len(w) == 0 {
		return nil
	}
	hashes := make([]uint64, len(w))
	for i, word := range w {
		hashes[i] = xxhash.Sum64String(word)
	}
	set := make([]uint64, 0, len(w))
	for i := range max(1, len(w)-shingleWords+1) {
		var h uint64
		for _, v := range hashes[i:min(i+shingleWords, len(w))] {
			h = scramble(h ^ v)
		}
		set = append(set, h)
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// words are the words of a text, at most nearWords.
func words(text string) (out []string) {
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		if inner := strings.TrimFunc(word, unicode.IsPunct); inner != "" {
			word = inner
		}
		from := 0
		for i, r := range word {
			if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) {
				if from < i {
					out = append(out, word[from:i])
				}
				from = i + len(string(r))
				out = append(out, word[i:from])
			}
		}
		if from < len(word) {
			out = append(out, word[from:])
		}
		if len(out) >= nearWords {
			return out[:nearWords]
		}
	}
	return out
}

// signature is the bands of the MinHash signature of a set; an empty one has none.
func signature(set []uint64) []band {
	if len(set) == 0 {
		return nil
	}
	out := make([]band, bands)
	for at := range out {
		var h uint64
		for k := range bandHashes {
			seed := scramble(uint64(at*bandHashes + k + 1))
			least := ^uint64(0)
			for _, v := range set {
				least = min(least, scramble(v^seed))
			}
			h = scramble(h ^ least)
		}
		out[at] = band{at, h}
	}
	return out
}

// scramble is a bijection of 64 bits that mixes all of them (the finaliser of SplitMix64, Steele, Lea and Flood 2014).
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// jaccard is the share of two ascending sets' elements that both have.
func jaccard(a, b []uint64) float64 {
	both, i, j := 0, 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			both, i, j = both+1, i+1, j+1
		case a[i] < b[j]:
			i++
		default:
			j++
		}
	}
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	return float64(both) / float64(len(a)+len(b)-both)
}
