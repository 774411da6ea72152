package probe

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// read takes a label column as collect does.
func read(col any, n int, entries ...string) (*data, error) {
	d := &data{}
	for i := range n {
		d.labels.add(col, i)
		d.Row = append(d.Row, int64(10+i))
	}
	return d, d.setLabels("label", entries)
}

func TestLabelsThatAreUnderstood(t *testing.T) {
	want := []bool{true, false, true}
	for _, c := range []struct {
		col     any
		entries []string
		said    string
	}{
		{[]int64{1, 0, 1}, nil, ""},
		{[]int32{1, 0, 1}, nil, ""},
		{[]float64{1, 0, 1}, nil, ""},
		{[]float32{1, 0, 1}, nil, ""},
		{[]bool{true, false, true}, nil, ""},
		{[]string{"true", "False", " TRUE "}, nil, ""},
		{[]string{"1", "0.0", "1.0"}, nil, ""},
		{[]string{"yes", "no", "Yes"}, nil, `"no" is 0, "yes" is 1`},
		{[]int64{1, -1, 1}, nil, "-1 is 0, 1 is 1"},
		{[]float64{1, -1, 1}, nil, "-1 is 0, 1 is 1"},
		{[]string{"honest", "lie", "Honest"}, []string{"lie=0", "honest=1"}, `"honest" is 1, "lie" is 0`},
		{[]string{"a=b", "0", "a=b"}, []string{"a=b=1"}, `0 is 0, "a=b" is 1`},
		{[]int64{2, 0, 1}, []string{"2=1"}, "0 is 0, 1 is 1, 2 is 1"},
		{[]int64{0, 1, 0}, []string{"0=1", "1=0"}, "0 is 1, 1 is 0"},
		{[]float64{1, math.NaN(), 1}, []string{"=0"}, "null is 0, 1 is 1"},
	} {
		d, err := read(c.col, 3, c.entries...)
		if err != nil || !slices.Equal(d.Label, want) || d.LabelsSaid != c.said {
			t.Errorf("%v %v: %v, said %q, %v", c.col, c.entries, d.Label, d.LabelsSaid, err)
		}
	}
}

func TestRefusedLabelsNameTheirRows(t *testing.T) {
	for _, c := range []struct {
		col     any
		entries []string
		says    []string
	}{
		{[]float64{1, math.NaN(), 0, 0.5}, nil, []string{`2 of 4 rows of column "label"`, "row 11: null, row 13: 0.5", `--label-map "0.5=0"`, `--where "label in (0, 1)"`}},
		{[]string{"yes", "", "no", "yes"}, nil, []string{"1 of 4 rows", "row 11: null", `--where "label in ('no', 'yes')"`}},
		{[]string{"true", "unknown", "false", "true"}, nil, []string{`row 11: "unknown"`, `--label-map "unknown=0"`, `label in (false, true)`}},
		{[]string{"lie", "honest", "lie", "honest"}, nil, []string{`row 10: "lie"`, `--label-map "honest=0,lie=1"`}},
		{[]int64{0, 1, 2, 1}, nil, []string{"1 of 4 rows", "row 12: 2", `--label-map "2=0"`}},
		{[]int64{0, 1, -1, 1}, nil, []string{"row 12: -1"}}, // three classes
		{[]string{"", "", "", ""}, nil, []string{"4 of 4 rows", "--set label=COLUMN"}},
		{[]float64{math.Inf(1), 1, 1, 1}, nil, []string{"row 10: +Inf"}},
		{[]string{"a", "b", "c", "d"}, []string{"a=0", "b=1"}, []string{"2 of 4 rows", `row 12: "c", row 13: "d"`}},
		{[]int64{0, 1, 0, 1}, []string{"yes=1"}, []string{`label_map speaks of "yes", which no row`}},
		{[]int64{0, 1, 0, 1}, []string{"1=1", "1=0"}, []string{"both 0 and 1"}},
		{[]int64{0, 1, 0, 1}, []string{"1"}, []string{"is not LABEL=0 or LABEL=1"}},
	} {
		_, err := read(c.col, 4, c.entries...)
		for _, says := range c.says {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%v %v: %v does not say %q", c.col, c.entries, err, says)
			}
		}
	}
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprint("class ", i)
	}
	_, err := read(many, 100)
	if !errors.Is(err, ErrLabel) || !strings.Contains(err.Error(), `row 14: "class 4", and 95 more`) || strings.Contains(err.Error(), "\n") {
		t.Errorf("a hundred classes: %v", err)
	}
}
