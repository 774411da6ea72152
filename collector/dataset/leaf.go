package dataset

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// leaf is one column of values in a Parquet file.
type leaf struct {
	name       string
	path       []string
	index      int
	kind       kind
	parquet    parquet.Kind
	logical    any // the annotation, such as *format.DecimalType; nil: none
	unsigned   bool
	list       bool
	depth      int // how many lists the value is in
	element    int // definition level from which the outermost list has an element
	defined    int // definition level of a value that is there
	emptyLevel int // of a list without elements
}

// leafOf describes a column; kind is nested where its values are none that a shard holds.
func leafOf(f *parquet.File, path []string) (leaf, error) {
	col, ok := f.Schema().Lookup(path...)
	if !ok {
		return leaf{}, fmt.Errorf("column %q cannot be found", strings.Join(path, "."))
	}
	l := leaf{name: path[0], path: path, index: col.ColumnIndex, list: col.MaxRepetitionLevel > 0, depth: col.MaxRepetitionLevel, element: elementLevel(f, path), defined: col.MaxDefinitionLevel}
	l.emptyLevel = col.MaxDefinitionLevel - 1
	if col.Node.Optional() {
		l.emptyLevel--
	}
	t := col.Node.Type()
	l.parquet = t.Kind()
	if logical := t.LogicalType(); logical != nil {
		l.logical = logical.Value
	} else if isHalf(f, l.index) {
		l.logical = &format.Float16Type{}
	}
	if n, ok := l.logical.(*format.IntType); ok {
		l.unsigned = !n.IsSigned
	}
	l.kind = l.valueKind()
	return l, nil
}

// elementLevel is the definition level from which the outermost list of a column has an element.
func elementLevel(f *parquet.File, path []string) (level int) {
	var at parquet.Node = f.Schema()
	for _, name := range path {
		i := slices.IndexFunc(at.Fields(), func(f parquet.Field) bool { return f.Name() == name })
		if i < 0 {
			return level
		}
		at = at.Fields()[i]
		if !at.Required() {
			level++
		}
		if at.Repeated() {
			return level
		}
	}
	return level
}

// isHalf says whether the file's own schema has a column as float16, which the library's passes over.
func isHalf(f *parquet.File, index int) bool {
	at := 0
	for _, e := range f.Metadata().Schema {
		if !e.Type.Valid {
			continue
		}
		if at == index {
			_, ok := e.LogicalType.Value.(*format.Float16Type)
			return ok && e.TypeLength.V == 2
		}
		at++
	}
	return false
}

// valueKind is what the column's cells hold.
func (l *leaf) valueKind() kind {
	switch as := l.logical.(type) {
	case *format.DecimalType:
		switch {
		case as.Scale < 0 || as.Scale > maxDecimal || as.Precision > maxDecimal:
			return nested
		case as.Precision <= decimalDigits:
			return fraction
		}
		return digits
	case *format.TimestampType, *format.DateType, *format.TimeType, *format.UUIDType:
		return text
	case *format.Float16Type:
		return fraction
	case *format.BsonType:
		return nested
	}
	switch l.parquet {
	case parquet.Boolean:
		return boolean
	case parquet.Int32, parquet.Int64:
		return integer
	case parquet.Float, parquet.Double:
		return fraction
	case parquet.ByteArray, parquet.Int96:
		return text
	}
	return nested
}

// decimalDigits is how many digits of a decimal every float64 gives back; maxDecimal is how many one may have at all.
const decimalDigits, maxDecimal = 15, 76

// cell is a value as a cell; null is a missing one.
func (l *leaf) cell(v parquet.Value) (cell, error) {
	switch {
	case v.IsNull():
		return cell{}, nil
	case l.kind == nested:
		return cell{kind: nested, what: "bytes"}, nil
	}
	switch as := l.logical.(type) {
	case *format.DecimalType:
		return decimal(l.unscaled(v), int(as.Scale), l.kind), nil
	case *format.TimestampType:
		return cell{kind: text, text: timestamp(v.Int64(), unitOf(as.Unit), as.IsAdjustedToUTC)}, nil
	case *format.DateType:
		return cell{kind: text, text: time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly)}, nil
	case *format.TimeType:
		n := v.Int64()
		if l.parquet == parquet.Int32 {
			n = int64(v.Int32())
		}
		return cell{kind: text, text: clock(n, unitOf(as.Unit))}, nil
	case *format.UUIDType:
		return cell{kind: text, text: uuid(v.ByteArray())}, nil
	case *format.Float16Type:
		return cell{kind: fraction, float: half(v.ByteArray())}, nil
	}
	return l.plain(v)
}

// plain is a value of a column without an annotation that changes what it is.
func (l *leaf) plain(v parquet.Value) (cell, error) {
	c := cell{kind: l.kind}
	switch l.parquet {
	case parquet.Boolean:
		c.bool = v.Boolean()
	case parquet.Int32:
		c.int = int64(v.Int32())
		if l.unsigned {
			c.int = int64(uint32(v.Int32()))
		}
	case parquet.Int64:
		c.int = v.Int64()
		if l.unsigned && c.int < 0 {
			return cell{kind: digits, text: strconv.FormatUint(uint64(c.int), 10)}, nil
		}
	case parquet.Float:
		c.float = float64(v.Float())
	case parquet.Double:
		c.float = v.Double()
	case parquet.Int96:
		c.text = int96(v.Int96())
	case parquet.ByteArray:
		c.text = string(v.ByteArray())
		if err := checkUTF8(c.text); err != nil {
			if l.logical == nil {
				return cell{kind: nested, what: "bytes"}, nil
			}
			return c, err
		}
	default:
		return cell{kind: nested, what: "bytes"}, nil
	}
	return c, nil
}

// unscaled is a decimal's digits as a number.
func (l *leaf) unscaled(v parquet.Value) *big.Int {
	switch l.parquet {
	case parquet.Int32:
		return big.NewInt(int64(v.Int32()))
	case parquet.Int64:
		return big.NewInt(v.Int64())
	}
	return twosComplement(v.ByteArray())
}

// cursor goes through the values of one column of a row group, row by row.
type cursor struct {
	pages  parquet.Pages
	values parquet.ValueReader
	buf    [256]parquet.Value
	have   []parquet.Value // of buf, not taken yet
}

// peek is the next value; io.EOF at the end of the row group.
func (c *cursor) peek() (*parquet.Value, error) {
	for len(c.have) == 0 {
		if c.values == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				return nil, err
			}
			c.values = page.Values()
		}
		n, err := c.values.ReadValues(c.buf[:])
		c.have = c.buf[:n]
		switch {
		case errors.Is(err, io.EOF):
			c.values = nil
		case err != nil:
			return nil, err
		case n == 0:
			return nil, io.ErrNoProgress
		}
	}
	return &c.have[0], nil
}

// row calls take for every value of the next row.
func (c *cursor) row(take func(v parquet.Value) error) error {
	for first := true; ; first = false {
		v, err := c.peek()
		if errors.Is(err, io.EOF) && !first {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return errors.New("the file's columns differ in length")
		}
		if err != nil {
			return err
		}
		if first != (v.RepetitionLevel() == 0) {
			if first {
				return errors.New("a list that does not begin")
			}
			return nil
		}
		if err := take(*v); err != nil {
			return err
		}
		c.have = c.have[1:]
	}
}

func (c *cursor) close() error {
	if c.pages == nil {
		return nil
	}
	pages := c.pages
	c.pages, c.values, c.have = nil, nil, nil
	return pages.Close()
}

// uuid is the usual spelling of 16 bytes.
func uuid(b []byte) string {
	s := hex.EncodeToString(b)
	if len(s) != 32 {
		return s
	}
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
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

// int96 spells the timestamp of old Parquet writers: nanoseconds of a day, and the day as a Julian number.
func int96(v deprecated.Int96) string {
	const epoch = 2440588 // 1970-01-01
	nanos := int64(v[1])<<32 | int64(v[0])
	day := int64(v[2]) - epoch
	return time.Unix(day*86400, 0).UTC().Add(time.Duration(nanos)).Format("2006-01-02T15:04:05.999999999")
}

// twosComplement reads a signed number, most significant byte first.
func twosComplement(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}
