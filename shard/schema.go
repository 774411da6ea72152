package shard

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Type is the type of a scalar column.
type Type uint8

// The scalar types, with the Go type that holds them.
const (
	Int64   Type = iota // int64
	Int32               // int32
	Float32             // float32
	Float64             // float64
	Bool                // bool
	String              // string, UTF-8
)

var typeNames = []string{"int64", "int32", "float32", "float64", "bool", "string"}

// String is the type's name in a plan.
func (t Type) String() string { return nameOf(typeNames, t, "Type") }

// MarshalText writes the name.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the name.
func (t *Type) UnmarshalText(b []byte) error {
	return parseName(t, typeNames, string(b), "scalar type")
}

// Dtype is the element type of a vector column.
type Dtype uint8

// The element types.
const (
	F16 Dtype = iota // IEEE 754 binary16, 2 bytes
	F32              // IEEE 754 binary32, 4 bytes
	I32              // whole numbers, 4 bytes: the numbers of things, a column that has them has nothing else
)

var dtypeNames = []string{"f16", "f32", "i32"}

// Size is the length of one value in bytes.
func (d Dtype) Size() int {
	if d == F16 {
		return 2
	}
	return 4
}

// String is the type's name in a plan.
func (d Dtype) String() string { return nameOf(dtypeNames, d, "Dtype") }

// MarshalText writes the name.
func (d Dtype) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the name.
func (d *Dtype) UnmarshalText(b []byte) error {
	return parseName(d, dtypeNames, string(b), "vector type")
}

func nameOf[T ~uint8](names []string, v T, kind string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%s(%d)", kind, v)
}

func parseName[T ~uint8](v *T, names []string, s, kind string) error {
	i := slices.Index(names, s)
	if i < 0 {
		return fmt.Errorf("unknown %s %q, want %s", kind, s, strings.Join(names, ", "))
	}
	*v = T(i)
	return nil
}

// Scalar is a column with one value per row, never null.
type Scalar struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
}

// Vector is a column with Width values of type Dtype per row, never null.
type Vector struct {
	Name  string `json:"name"`
	Width int    `json:"width"`
	Dtype Dtype  `json:"dtype"`
}

// RowBytes is the length of one row's vector.
func (v Vector) RowBytes() int { return v.Width * v.Dtype.Size() }

// Schema is the columns of a shard in their order: scalars, then vectors.
type Schema struct {
	Scalars []Scalar `json:"scalars"`
	Vectors []Vector `json:"vectors"`
}

// Limits of a schema. MaxWidth keeps one page below the 2 GiB that Parquet's page header can say; MaxColumns and
// MaxName bound the footer.
const (
	MaxWidth   = 1 << 20
	MaxColumns = 1 << 14
	MaxName    = 200
)

// BaseScalars returns the columns that every activation shard begins with: row is the data-set row, pos the token's
// position in the prompt, n_tokens the prompt's length, token_id and token the token at pos. (row, pos) is the key.
func BaseScalars() []Scalar {
	return []Scalar{{"row", Int64}, {"pos", Int32}, {"n_tokens", Int32}, {"token_id", Int32}, {"token", String}}
}

// Equal reports whether both schemas have the same columns in the same order.
func (s Schema) Equal(t Schema) bool {
	return slices.Equal(s.Scalars, t.Scalars) && slices.Equal(s.Vectors, t.Vectors)
}

// VectorIndex finds a vector column by name.
func (s Schema) VectorIndex(name string) (int, bool) {
	i := slices.IndexFunc(s.Vectors, func(v Vector) bool { return v.Name == name })
	return i, i >= 0
}

// ScalarIndex finds a scalar column by name.
func (s Schema) ScalarIndex(name string) (int, bool) {
	i := slices.IndexFunc(s.Scalars, func(c Scalar) bool { return c.Name == name })
	return i, i >= 0
}

// Validate returns ErrSchema unless a shard can have these columns: the key (row int64, pos int32) first, names
// different even without regard to case (SQL does not regard it), known types, widths in range.
func (s Schema) Validate() error {
	if n := len(s.Scalars) + len(s.Vectors); n > MaxColumns {
		return fmt.Errorf("%w: %d columns, at most %d", ErrSchema, n, MaxColumns)
	}
	if len(s.Scalars) < 2 || s.Scalars[0] != (Scalar{"row", Int64}) || s.Scalars[1] != (Scalar{"pos", Int32}) {
		return fmt.Errorf("%w: the first columns must be row int64 and pos int32", ErrSchema)
	}
	seen := map[string]bool{}
	for _, c := range s.Scalars {
		if int(c.Type) >= len(typeNames) {
			return fmt.Errorf("%w: column %q has the unknown type %s", ErrSchema, c.Name, c.Type)
		}
		if err := checkName(c.Name, seen); err != nil {
			return err
		}
	}
	for _, v := range s.Vectors {
		if int(v.Dtype) >= len(dtypeNames) || v.Width < 1 || v.Width > MaxWidth {
			return fmt.Errorf("%w: column %q: %d × %s, want 1 to %d values of %s", ErrSchema, v.Name, v.Width, v.Dtype, MaxWidth, strings.Join(dtypeNames, ", "))
		}
		if err := checkName(v.Name, seen); err != nil {
			return err
		}
	}
	return nil
}

func checkName(name string, seen map[string]bool) error {
	switch {
	case name == "" || len(name) > MaxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%w: column name %.80q: want 1 to %d bytes of printable text", ErrSchema, name, MaxName)
	case seen[strings.ToLower(name)]:
		return fmt.Errorf("%w: two columns are named %q (without regard to case)", ErrSchema, name)
	}
	seen[strings.ToLower(name)] = true
	return nil
}

// MaxUnits bounds the units of a run: their keys have six digits.
const MaxUnits = 1_000_000

// Identity says which part of which run a shard is.
type Identity struct {
	PlanID string // Plan.ID
	Unit   int
}
