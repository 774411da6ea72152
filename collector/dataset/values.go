package dataset

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go/format"
)

// What tables hold beside numbers and text, as cells: times as ISO 8601, decimals as numbers where a float64 gives
// them back and as text where it does not.

// timestamp spells a count of units since 1970.
func timestamp(n int64, unit time.Duration, utc bool) string {
	per := int64(time.Second / unit)
	sec, rest := n/per, n%per
	if rest < 0 {
		sec, rest = sec-1, rest+per
	}
	t := time.Unix(sec, rest*int64(unit)).UTC()
	layout := "2006-01-02T15:04:05" + fractionOf(unit)
	if utc {
		layout += "Z"
	}
	return t.Format(layout)
}

// clock spells a count of units since midnight.
func clock(n int64, unit time.Duration) string {
	per := int64(time.Second / unit)
	return time.Unix(n/per, n%per*int64(unit)).UTC().Format("15:04:05" + fractionOf(unit))
}

// fractionOf is the part of a layout for fractions of a second, left out where they are 0.
func fractionOf(unit time.Duration) string {
	switch unit {
	case time.Millisecond:
		return ".999"
	case time.Microsecond:
		return ".999999"
	case time.Nanosecond:
		return ".999999999"
	}
	return ""
}

func unitOf(u format.TimeUnit) time.Duration {
	if u.Value == nil {
		return time.Millisecond
	}
	return u.Value.Duration()
}

// decimal is unscaled · 10^−scale, as the kind of its column.
func decimal(unscaled *big.Int, scale int, as kind) cell {
	s := unscaled.String()
	negative := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	if scale > 0 {
		if len(s) <= scale {
			s = strings.Repeat("0", scale+1-len(s)) + s
		}
		s = s[:len(s)-scale] + "." + s[len(s)-scale:]
	}
	if negative {
		s = "-" + s
	}
	if as != fraction {
		return cell{kind: digits, text: s}
	}
	v, _ := new(big.Rat).SetString(s)
	f, _ := v.Float64()
	return cell{kind: fraction, float: f}
}

// inColumn puts a column's name in front of an error.
func inColumn(name string, err error) error { return fmt.Errorf("column %q: %w", brief(name), err) }

// foldedIndex finds a name in a list, case apart.
func foldedIndex(names []string, name string) int {
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
