package evaluate

import (
	"errors"
	"strings"
	"testing"
)

func splitOf(name string, first int64, groups ...string) Split {
	s := Split{Name: name, Groups: groups}
	for i, g := range groups {
		s.Rows = append(s.Rows, Row{"a", first + int64(i)})
		s.Texts = append(s.Texts, "about "+g+" "+name)
		s.Labels = append(s.Labels, i%2 == 0)
	}
	return s
}

func TestCheckSplits(t *testing.T) {
	train, test := splitOf("train", 0, "paris", "paris", "rome"), splitOf("test", 3, "oslo", "bern")
	train.Texts[0] = "" // a prompt of token ids
	if err := CheckSplits(train, test); err != nil {
		t.Fatalf("clean splits: %v", err)
	}
	for name, c := range map[string]struct {
		change func(s *Split)
		want   error
		says   string
	}{
		"a row twice":     {func(s *Split) { s.Rows[0].Row = 2 }, ErrLeak, `share 1 rows, for example row 2 of run a`},
		"a group divided": {func(s *Split) { s.Groups[1] = "rome" }, ErrLeak, `share 1 groups, for example group "rome"`},
		"a text twice":    {func(s *Split) { s.Texts[1] = "  About ROME  train" }, ErrLeak, `"about rome train"`},
		"a group missing": {func(s *Split) { s.Groups = s.Groups[:1] }, ErrUngrouped, `2 rows and 1 groups`},
		"no rows":         {func(s *Split) { *s = Split{Name: "test"} }, ErrUngrouped, `"test" has 0 rows`},
		"a row number of another run is another row": {func(s *Split) { s.Rows[0] = Row{"b", 2} }, nil, ""},
		"no two texts are the same empty one":        {func(s *Split) { s.Texts[0], s.Texts[1] = "", " " }, nil, ""},
		"no texts is fine":                           {func(s *Split) { s.Texts = nil }, nil, ""},
	} {
		other := splitOf("test", 3, "oslo", "bern")
		c.change(&other)
		err := CheckSplits(train, other)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		} else if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q does not say %q", name, err, c.says)
		}
	}
}

func TestFingerprint(t *testing.T) {
	a := splitOf("a", 0, "x", "y", "z")
	b := Split{Name: "b", Rows: []Row{{"b", 9}, {"b", 8}, {"b", 7}}, Groups: a.Groups, Texts: []string{a.Texts[2], a.Texts[0], a.Texts[1]}, Labels: []bool{a.Labels[2], a.Labels[0], a.Labels[1]}}
	if a.Fingerprint() != b.Fingerprint() {
		t.Error("the same texts in another order under another name differ")
	}
	b.Labels[0] = !b.Labels[0]
	if a.Fingerprint() == b.Fingerprint() {
		t.Error("another label, the same fingerprint")
	}
	a.Texts, b.Texts = nil, nil
	b.Labels[0] = !b.Labels[0]
	c := Split{Rows: []Row{a.Rows[2], a.Rows[0], a.Rows[1]}, Labels: b.Labels}
	if a.Fingerprint() != c.Fingerprint() {
		t.Error("the same rows in another order differ")
	}
	c.Rows[1].Run = "b"
	if a.Fingerprint() == c.Fingerprint() {
		t.Error("a row of another run, the same fingerprint")
	}
}
