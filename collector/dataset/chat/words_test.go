package chat

import (
	"strings"
	"testing"

	"actfleet/collector/dataset"
)

func TestErrorsNameLineAndFault(t *testing.T) {
	for template, want := range map[string]string{
		"a\n{{ x|frob }}": "line 2: no filter frob",
		"{% for m in messages %}\n{% if true %}{{ m.content|trim|frob }}{% endif %}{% endfor %}": "line 2: no filter frob",
		"{% macro f(a) %}{{ a|frob }}{% endmacro %}{{ f(1) }}":                                   "line 1: no filter frob",
		"{{ x is frob }}": "line 1: no test frob",
		"{{ frob(1) }}":   "line 1: no function frob",
		"{% for m in messages %}{{ m.content.frob() }}{% endfor %}": "line 1: no method frob",
		"{{ x.y.z }}":             "line 1: no x.y: what it is a part of is undefined",
		"{{ 'a'|replace('a') }}":  "line 1: replace: missing required 2nd positional argument 'new'",
		"{% frob %}":              "line 1: no statement frob, or one that ends what has not begun",
		"{% if x %}":              "line 1: Unexpected EOF, expected tag elif or else or endif",
		"{{ 1 + }}":               `line 1: expected either a number, string, keyword or identifier near "}}"`,
		"{{ raise_exception(1)}}": "it says: 1",
	} {
		parsed, err := Parse(Source{Text: template})
		if err == nil {
			_, err = parsed.Render([]dataset.Message{{Role: "user", Content: "at line 9: x"}})
		}
		if err == nil || err.Error() != "chat template: "+want {
			t.Errorf("%q: %v, want %s", template, err, want)
		}
	}
	_, err := Parse(Source{Text: "{{ 1 + '" + strings.Repeat("é", 500) + "' '" + strings.Repeat("x", 900)})
	if err == nil || len(err.Error()) > 400 {
		t.Errorf("%v", err)
	}
}

func TestMentions(t *testing.T) {
	for _, c := range []struct {
		template, key string
		want          bool
	}{
		{"{{ m.content }}", "name", false},
		{"{{ m.tool_calls }}", "tool_calls", true},
		{"{{ m['name'] }}", "name", true},
		{"{{ m.username }}", "name", false},
		{"{{ message | tojson }}", "name", true},
		{"{% for k, v in x.items() %}", "name", true},
		{"{{ message[key] }}", "name", true},
	} {
		s := Source{Text: c.template}
		if got := s.Mentions()(c.key); got != c.want {
			t.Errorf("%s mentions %s: %v", c.template, c.key, got)
		}
	}
}
