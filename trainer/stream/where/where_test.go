package where

import (
	"math"
	"slices"
	"strings"
	"testing"

	"actfleet/shard"
)

var schema = shard.Schema{Scalars: []shard.Scalar{{Name: "row", Type: shard.Int64}, {Name: "label", Type: shard.Int32}, {Name: "p", Type: shard.Float32},
	{Name: "q", Type: shard.Float64}, {Name: "ok", Type: shard.Bool}, {Name: "split", Type: shard.String}, {Name: "odd name", Type: shard.Int32}}}

var rows = []any{
	[]int64{0, 1, 1<<53 + 1, -4}, []int32{0, 1, 2, 1}, []float32{.1, .5, float32(math.NaN()), 1}, []float64{.1, -2, 3, 1e-3},
	[]bool{true, false, true, false}, []string{"train", "test", "it's", "01"}, []int32{7, 8, 7, 8},
}

// kept are the rows that a condition holds for.
func kept(text string) (out []int, err error) {
	e, err := Parse(text)
	if err != nil {
		return nil, err
	}
	t, err := e.Compile(schema, func(name string) int { at, _ := schema.ScalarIndex(name); return at })
	if err != nil {
		return nil, err
	}
	for i := range 4 {
		if t(rows, i) {
			out = append(out, i)
		}
	}
	return out, nil
}

func TestConditions(t *testing.T) {
	for text, want := range map[string][]int{
		"label = 1":                            {1, 3},
		"label=1 and row>0":                    {1},
		"label = 1 AND NOT (row > 0)":          {3},
		"label = 0 or label = 1 and row < 0":   {0, 3},
		"(label = 0 or label = 1) and row < 0": {3},
		"row = 9007199254740993":               {2},
		"row == 9007199254740992":              nil,
		"row > 0.5":                            {1, 2},
		"row >= -4e0 and row <= 0":             {0, 3},
		"p = 0.1":                              {0},
		"p < 2":                                {0, 1, 3},
		"p != 0.5":                             {0, 2, 3},
		"not p < 2":                            {2},
		"q between -2 and 0.1":                 {0, 1, 3},
		"q = 1e-3":                             {3},
		"ok = true":                            {0, 2},
		"ok <> TRUE":                           {1, 3},
		"split = train":                        {0},
		"split='it''s'":                        {2},
		"split=01":                             {3},
		"split in (train, 'test')":             {0, 1},
		"split not in (train, 'test')":         {2, 3},
		"label not in (0,2) and not split = 'and'": {1, 3},
		`"odd name" = 8`: {1, 3},
		"split >= 'te'":  {0, 1},
	} {
		got, err := kept(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s keeps %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for text, part := range map[string]string{
		"":                          "want a column",
		"label":                     "want a comparison",
		"label =":                   "want a value, got the end",
		"labl = 1":                  `no column "labl"; there are row, label`,
		"label = one":               `the column holds numbers, "one" is none`,
		"label = '1'":               "is none",
		"ok < true":                 "have no order",
		"ok = maybe":                "true and false, not",
		"label = 1 pos":             `unexpected "pos"`,
		"(label = 1":                "want )",
		"label in 1":                "want ( after in",
		"label in (1":               "want , or )",
		"label not 1":               "want in after not",
		"label between 1 or 2":      "want and after between",
		"split = 'x":                "no ' ends",
		"label & 1":                 "unexpected '&'",
		"and = 1":                   "want a column",
		strings.Repeat("(", 200):    "deep",
		strings.Repeat("not ", 200): "deep",
		strings.Repeat("x", 20000):  "at most",
	} {
		if _, err := kept(text); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"label = 1 and pos > 0", "a in (1,'x''y') or not (b between 1 and 2)", `"q"<>1`, "((", "not", "'", "a=-1e9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, errA := kept(s)
		b, errB := kept("not (" + s + ")")
		if errA == nil && errB == nil && len(a)+len(b) != 4 {
			t.Errorf("%q keeps %v, its opposite %v", s, a, b)
		}
	})
}
