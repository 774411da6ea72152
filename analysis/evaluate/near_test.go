package evaluate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const long = "It is the case both that the city of Santiago is in the Dominican Republic and that the city of Oslo is in Norway"

func TestNearDuplicates(t *testing.T) {
	for _, c := range []struct {
		a, b string
		near bool
	}{
		{long, long, true},
		{long, "  it IS the case both that the city of “Santiago” is in the Dominican Republic, and that the city of Oslo is in Norway!", true},
		{long, strings.Replace(long, "Norway", "Chile", 1), true},
		{long, long + " today", true},
		{long, strings.ReplaceAll(long, "city", "town"), false},
		{long, "", false},
		{"", "", false},
		{"Paris", "paris.", true},
		{"Paris is big", "Paris is old", false},
		{"2 + 3 = 5", "2 - 3 = 5", false},
		{"The city of Prague is the capital city of Czechia.", "The city of Prague is the capital city of Bahrain.", true},
		{"The city of Lahore is located in Pakistan.", "The city of Lima is located in Peru.", false},
		{"東京は日本の首都であり世界でも大きな都市の一つである", "東京は日本の首都であり世界でも大きな都市の一つであった", true},
		{"東京は日本の首都である", "京都は日本の古い都である", false},
	} {
		if got := len(NewNear([]string{"something else", c.a}).Of(c.b)) > 0; got != c.near {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}

// The bands find what comparing all pairs finds.
func TestNearIsJaccard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		r := rand.New(rand.NewPCG(seed, 1))
		base := make([]string, rapid.IntRange(1, 60).Draw(t, "words"))
		for i := range base {
			base[i] = fmt.Sprint("w", r.IntN(500))
		}
		var texts []string
		for range 12 { // variants of one text, some nearer and some farther
			v := slices.Clone(base)
			for range r.IntN(5) {
				v[r.IntN(len(v))] = fmt.Sprint("v", r.IntN(500))
			}
			texts = append(texts, strings.Join(v, " "))
		}
		n, missed := NewNear(texts), 0
		for _, text := range texts {
			var want []int
			for i, other := range texts {
				if jaccard(shingles(text), shingles(other)) >= NearJaccard {
					want = append(want, i)
				}
			}
			got := n.Of(text)
			for _, i := range got {
				if !slices.Contains(want, i) {
					t.Fatalf("%q is not near %q", text, texts[i])
				}
			}
			missed += len(want) - len(got)
		}
		if missed > 2 { // 1.5e-4 of the pairs at most
			t.Fatalf("%d pairs missed", missed)
		}
	})
}

// numbered is a text of twelve words that no other has.
func numbered(i int) string {
	var w []string
	for k := range 12 {
		w = append(w, fmt.Sprint("w", (i+1)*7919*(k+1)))
	}
	return strings.Join(w, " ")
}

func TestCheckNear(t *testing.T) {
	train, test := Split{Name: "train"}, Split{Name: "test"}
	for i := range 200 {
		train.Texts = append(train.Texts, numbered(i), "")
	}
	for i := range 100 {
		test.Texts = append(test.Texts, fmt.Sprintf("a text of its own about the number %d", i))
	}
	if found, err := CheckNear(0.01, train, test); err != nil || len(found) > 0 {
		t.Errorf("clean splits: %v, %v", found, err)
	}
	test.Texts[3] = train.Texts[8] + "!"
	found, err := CheckNear(0.01, train, test)
	if err != nil || len(found) != 1 || found[0].Rows != 1 || found[0].Of != 100 || len(found[0].Examples) != 1 {
		t.Errorf("one of a hundred: %+v, %v", found, err)
	}
	for i := range 5 {
		test.Texts[i] = train.Texts[2*i] + " or so"
	}
	_, err = CheckNear(0.01, train, test)
	if !errors.Is(err, ErrLeak) || !strings.Contains(err.Error(), `5 of the 100 rows of "test" nearly stand in "train"`) || !strings.Contains(err.Error(), "near_duplicates=0.06") {
		t.Errorf("five of a hundred: %v", err)
	}
	if found, err := CheckNear(0.06, train, test); err != nil || len(found) != 1 || len(found[0].Examples) != maxExamples {
		t.Errorf("accepted: %+v, %v", found, err)
	}
	if found, err := CheckNear(0, Split{Name: "a"}, test); err != nil || len(found) > 0 {
		t.Errorf("a split without texts: %+v, %v", found, err)
	}
}

// A long template does not make prompts alike, and does not hide those that are.
func TestTemplatesAreNotNearDuplicates(t *testing.T) {
	const before, after = "You answer with yes or no. Question: Is Oslo in Norway? Answer: yes. Question: Is Lima in Chile? Answer: no. Question:", "Answer:"
	var texts []string
	for i := range 100 {
		texts = append(texts, fmt.Sprintf("%s %s %s? %s", before, numbered(i), numbered(i+1000), after))
	}
	n := NewNear(texts)
	if found := n.Of(before + " Is the sea at Naples warmer than the sea at Bergen in a usual winter? " + after); len(found) > 0 {
		t.Errorf("another question is near %d", len(found))
	}
	if found := n.Of(before + " Really " + numbered(40) + " " + numbered(1040) + "? " + after); !slices.Equal(found, []int{40}) {
		t.Errorf("the same question with one word more is near %v, want 40", found)
	}
}
