# operators.awk keeps, of gotch's 2,500 generated operators, those that internal/torch calls.
#   awk -v keep="AtgAdd AtgMul" -v names=FILE -f operators.awk c-generated.go      the Go side; writes the C names to FILE
#   awk -v keep="atg_add atg_mul" -f operators.awk torch_api_generated.cpp.h       the C side, or its header
# What is no operator stays. A name of keep that is not there ends in an error.
function end_of_operator() {
	if (kept) {
		printf "%s", text
		if (names && match(text, /C\.atg_[A-Za-z0-9_]+/)) print substr(text, RSTART + 2, RLENGTH - 2) > names
		delete want[name]
	}
	open = 0
}
BEGIN { n = split(keep, k, " "); for (i = 1; i <= n; i++) want[k[i]] = 1 }
!open && /^(func Atg|[a-z].*[ *]atg_)[A-Za-z0-9_]*\(/ {
	name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
	kept = name in want; text = ""; open = 1
}
open {
	text = text $0 "\n"
	if (/^}/ || /\);$/ && !/^[ \t]/) end_of_operator()
	next
}
{ print }
END { for (name in want) { print name > "/dev/stderr"; missing = 1 } exit missing }
