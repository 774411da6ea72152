package dataset

import (
	"math/big"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

// arrowText reads an array of text or bytes; ok says that it is one.
func arrowText(a arrow.Array, i int) (c cell, ok bool, err error) {
	if a.IsNull(i) {
		return cell{}, true, nil
	}
	var bytes []byte
	switch a := a.(type) {
	case *array.String:
		return cell{kind: text, text: a.Value(i)}, true, checkUTF8(a.Value(i))
	case *array.LargeString:
		return cell{kind: text, text: a.Value(i)}, true, checkUTF8(a.Value(i))
	case *array.Dictionary:
		return arrowText(a.Dictionary(), a.GetValueIndex(i))
	case *array.Binary:
		bytes = a.Value(i)
	case *array.LargeBinary:
		bytes = a.Value(i)
	default:
		return cell{}, false, nil
	}
	if checkUTF8(string(bytes)) != nil {
		return cell{kind: nested, what: "bytes"}, true, nil
	}
	return cell{kind: text, text: string(bytes)}, true, nil
}

// arrowNumber reads an array of numbers; ok says that it is one.
func arrowNumber(a arrow.Array, i int) (c cell, ok bool) {
	whole := func(v int64) (cell, bool) { return cell{kind: integer, int: v}, true }
	switch a := a.(type) {
	case *array.Int8:
		return whole(int64(a.Value(i)))
	case *array.Int16:
		return whole(int64(a.Value(i)))
	case *array.Int32:
		return whole(int64(a.Value(i)))
	case *array.Int64:
		return whole(a.Value(i))
	case *array.Uint8:
		return whole(int64(a.Value(i)))
	case *array.Uint16:
		return whole(int64(a.Value(i)))
	case *array.Uint32:
		return whole(int64(a.Value(i)))
	case *array.Uint64:
		if v := a.Value(i); v > 1<<63-1 {
			return cell{kind: digits, text: strconv.FormatUint(v, 10)}, true
		}
		return whole(int64(a.Value(i)))
	case *array.Float16:
		return cell{kind: fraction, float: float64(a.Value(i).Float32())}, true
	case *array.Float32:
		return cell{kind: fraction, float: float64(a.Value(i))}, true
	case *array.Float64:
		return cell{kind: fraction, float: a.Value(i)}, true
	case *array.Decimal128:
		t := a.DataType().(*arrow.Decimal128Type)
		return arrowDecimal(a.Value(i).BigInt(), t.Precision, t.Scale)
	case *array.Decimal256:
		t := a.DataType().(*arrow.Decimal256Type)
		return arrowDecimal(a.Value(i).BigInt(), t.Precision, t.Scale)
	case *array.Duration:
		return whole(int64(a.Value(i)))
	}
	return cell{}, false
}

func arrowDecimal(unscaled *big.Int, precision, scale int32) (cell, bool) {
	if scale < 0 || scale > maxDecimal {
		return cell{kind: nested, what: "a decimal"}, true
	}
	as := digits
	if precision <= decimalDigits {
		as = fraction
	}
	return decimal(unscaled, int(scale), as), true
}

// arrowTime reads an array of dates and times; ok says that it is one.
func arrowTime(a arrow.Array, i int) (c cell, ok bool) {
	said := func(s string) (cell, bool) { return cell{kind: text, text: s}, true }
	switch a := a.(type) {
	case *array.Timestamp:
		t := a.DataType().(*arrow.TimestampType)
		return said(timestamp(int64(a.Value(i)), t.Unit.Multiplier(), t.TimeZone != ""))
	case *array.Date32:
		return said(a.Value(i).ToTime().Format(time.DateOnly))
	case *array.Date64:
		return said(a.Value(i).ToTime().Format(time.DateOnly))
	case *array.Time32:
		return said(clock(int64(a.Value(i)), a.DataType().(*arrow.Time32Type).Unit.Multiplier()))
	case *array.Time64:
		return said(clock(int64(a.Value(i)), a.DataType().(*arrow.Time64Type).Unit.Multiplier()))
	}
	return cell{}, false
}
