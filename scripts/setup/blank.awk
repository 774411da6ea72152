# blank.awk replaces the bodies of the operators a libtorch does not have by a throw.
#   awk -v lines="12 99" -f blank.awk torch_api_generated.cpp.h
# lines are the line numbers of compile errors; the function around each is blanked. The names of the
# blanked functions go to the file named by -v names=FILE.
BEGIN { n = split(lines, l, " "); for (i = 1; i <= n; i++) bad[l[i]] = 1 }
{ text[NR] = $0 }
/^[a-zA-Z].*[ *]at[a-z]*_[A-Za-z0-9_]*\(.*\) \{/ { start = NR }
NR in bad && start { hit[start] = 1 }
/^\}$/ { end[start] = NR; start = 0 }
END {
	for (i = 1; i <= NR; i++) {
		print text[i]
		if (!(i in hit)) continue
		name = text[i]; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
		print "  PROTECT(throw std::runtime_error(\"" name ": this libtorch does not have the operator\");)"
		if (text[i] !~ /^void /) print "  return {};"
		print "}"
		print name > names
		i = end[i]
	}
}
