-- How evenly tokenizers use their ids: a line for every id of a row, with an alarm where it says next to nothing
{{- if not .Ids}}{{none "there are no codes of a tokenizer: run encode with one first"}}{{end}}
select coder, id, rows, used, round(entropy, 3) as entropy, round(pow(2, entropy), 1) as perplexity, round(most / rows, 4) as most_common, round(err, 4) as err,
  case when entropy < 0.5 then 'nearly all rows have one code' when entropy < 0.5 * log2(used) then 'few codes stand for most rows' end as alarm
from (
{{- range $i, $c := .Ids}}
{{if $i}}union all {{end}}select {{text $c.Coder}} as coder, {{text $c.Column}} as id, cast(sum(n) as bigint) as rows, count(*) as used,
  log2(sum(n)) - sum(n * log2(n)) / sum(n) as entropy, max(n) as most, sum(e) / sum(n) as err
  from (select {{ident $c.Column}} as code, count(*) as n, sum(err) as e from {{ident $c.View}} where {{ident $c.Column}} >= 0 group by all)
{{- end}}
)
order by coder, id
