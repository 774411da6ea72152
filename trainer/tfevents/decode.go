package tfevents

import (
	"math"
	"time"
)

// decode reads an event, without what this package does not write.
func decode(b []byte) (e Event, err error) {
	err = fields(b, func(f field) error {
		switch f.number {
		case eventTime:
			e.Time = time.UnixMicro(int64(math.Round(math.Float64frombits(f.bits) * 1e6)))
		case eventStep:
			e.Step = int64(f.bits)
		case eventVersion:
			e.Version = string(f.bytes)
		case eventSession:
			return fields(f.bytes, func(f field) error {
				e.Start = e.Start || f.number == sessionStatus && f.bits == sessionStart
				return nil
			})
		case eventSummary:
			return fields(f.bytes, func(f field) error {
				if f.number != summaryValue {
					return nil
				}
				v, err := decodeValue(f.bytes)
				e.Values = append(e.Values, v)
				return err
			})
		}
		return nil
	})
	return e, err
}

func decodeValue(b []byte) (v Value, err error) {
	err = fields(b, func(f field) (err error) {
		switch f.number {
		case valueTag:
			v.Tag = string(f.bytes)
		case valueScalar:
			v.Scalar = math.Float32frombits(uint32(f.bits))
		case valueHistogram:
			v.Histogram, err = decodeHistogram(f.bytes)
		}
		return err
	})
	return v, err
}

func decodeHistogram(b []byte) (*Histogram, error) {
	h := &Histogram{}
	single := map[int]*float64{histMin: &h.Min, histMax: &h.Max, histNum: &h.Num, histSum: &h.Sum, histSquares: &h.SumSquares}
	err := fields(b, func(f field) error {
		if to, ok := single[int(f.number)]; ok {
			*to = math.Float64frombits(f.bits)
		}
		switch f.number {
		case histLimit:
			h.Limit = floats(f.bytes)
		case histCount:
			h.Count = floats(f.bytes)
		}
		return nil
	})
	return h, err
}
