package dataset

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go/deprecated"
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

// int96 spells the timestamp of old Parquet writers: nanoseconds of a day, and the day as a Julian number.
func int96(v deprecated.Int96) string {
	const epoch = 2440588 // 1970-01-01
	nanos := int64(v[1])<<32 | int64(v[0])
	day := int64(v[2]) - epoch
	return time.Unix(day*86400, 0).UTC().Add(time.Duration(nanos)).Format("2006-01-02T15:04:05.999999999")
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

// twosComplement reads a signed number, most significant byte first.
func twosComplement(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// half is a float16, least significant byte first.
func half(b []byte) float64 {
	if len(b) != 2 {
		return math.NaN()
	}
	bits := uint16(b[0]) | uint16(b[1])<<8
	exp, frac := int(bits>>10&31), float64(bits&1023)
	var v float64
	switch exp {
	case 0:
		v = math.Ldexp(frac, -24)
	case 31:
		v = math.Inf(1)
		if frac != 0 {
			return math.NaN()
		}
	default:
		v = math.Ldexp(1024+frac, exp-25)
	}
	if bits>>15 == 1 {
		return -v
	}
	return v
}

// inColumn puts a column's name in front of an error.
func inColumn(name string, err error) error { return fmt.Errorf("column %q: %w", brief(name), err) }

// foldedIndex finds a name in a list, case apart.
func foldedIndex(names []string, name string) int {
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
