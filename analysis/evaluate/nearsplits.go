package evaluate

import (
	"fmt"
	"strings"
)

// NearLeak is what nearly stands in two splits.
type NearLeak struct {
	Split    string      `json:"split"` // the smaller one
	Other    string      `json:"other"`
	Rows     int         `json:"rows"` // of Split whose text is a near duplicate of one in Other
	Of       int         `json:"of"`   // rows of Split
	Examples [][2]string `json:"examples"`
}

// maxExamples is how many pairs of texts a message shows.
const maxExamples = 2

// Share is the part of the smaller split.
func (l NearLeak) Share() float64 { return float64(l.Rows) / float64(max(1, l.Of)) }

// String says what was found, with examples.
func (l NearLeak) String() string {
	return fmt.Sprintf("%d of the %d rows of %q nearly stand in %q: %s", l.Rows, l.Of, l.Split, l.Other, ShowPairs(l.Examples))
}

// ShowPairs writes pairs of texts, shortened.
func ShowPairs(pairs [][2]string) string {
	out := make([]string, len(pairs))
	for i, p := range pairs {
		out[i] = fmt.Sprintf("%q like %q", shorten(p[0]), shorten(p[1]))
	}
	return strings.Join(out, "; ")
}

// CheckNear finds near duplicates (see Near) between every two splits that have texts. Above a share of the smaller split
// it is ErrLeak; what stays below is returned, to be said.
func CheckNear(share float64, splits ...Split) (found []NearLeak, err error) {
	indices := make([]*Near, len(splits))
	for i, s := range splits {
		indices[i] = NewNear(s.Texts)
	}
	for i := range splits {
		for j := range splits[:i] {
			if !apart(splits[i], splits[j]) {
				continue
			}
			small, big := i, j
			if len(splits[i].Texts) > len(splits[j].Texts) {
				small, big = j, i
			}
			l := nearLeak(splits[small], splits[big], indices[big])
			if l.Share() > share {
				return nil, fmt.Errorf("%w: %s; give such rows one group, or accept them with near_duplicates=%.3g", ErrLeak, l, ceil(l.Share()))
			}
			if l.Rows > 0 {
				found = append(found, l)
			}
		}
	}
	return found, nil
}

// ceil rounds a share up to a hundredth.
func ceil(share float64) float64 { return float64(int(share*100)+1) / 100 }

func nearLeak(a, b Split, in *Near) NearLeak {
	l := NearLeak{Split: a.Name, Other: b.Name, Of: len(a.Texts)}
	known := map[string]bool{} // the rows of one prompt have one text
	for _, text := range a.Texts {
		near, ok := known[text]
		if !ok {
			found := in.Of(text)
			near = len(found) > 0
			known[text] = near
			if near && len(l.Examples) < maxExamples {
				l.Examples = append(l.Examples, [2]string{text, b.Texts[found[0]]})
			}
		}
		if near {
			l.Rows++
		}
	}
	return l
}
