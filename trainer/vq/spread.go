package vq

// spread is what a window says about its rows and what is left of them.
type spread struct {
	rows          int
	error, square float64   // Σ‖z−ẑ‖², Σ‖z‖²
	total         []float64 // [D] Σ z
}

func newSpread(d int) spread { return spread{total: make([]float64, d)} }

// rowsSeen takes rows z [n, D].
func (s *spread) rowsSeen(z []float32) {
	d := len(s.total)
	for at := 0; at < len(z); at += d {
		for j, v := range z[at : at+d] {
			a := float64(v)
			s.total[j] += a
			s.square += a * a
		}
	}
	s.rows += len(z) / d
}

// left takes z − ẑ of the same rows.
func (s *spread) left(r []float32) { s.error += squareNorm(r) }

// metrics adds fvu where the rows differ.
func (s *spread) metrics(m map[string]float64) {
	dev := s.square
	for _, v := range s.total {
		dev -= v * v / float64(s.rows)
	}
	if dev > 0 {
		m["fvu"] = s.error / dev
	}
}
