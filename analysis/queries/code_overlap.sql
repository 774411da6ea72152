-- How much of one tokenizer's id another one's tells, for ids in the same place: 1 says that they sort the rows alike
{{- if not .IdPairs}}{{none "there are no codes of two tokenizers: run encode with them first"}}{{end}}
select a, b, id, rows, round(greatest(ha + hb - hab, 0), 3) as shared_bits, round(greatest(ha + hb - hab, 0) / nullif(least(ha, hb), 0), 4) as overlap,
  case when least(ha, hb) > 0 and rows > 4 * pairs and ha + hb - hab > 0.95 * least(ha, hb) then 'one says what the other says' end as alarm
from (
{{- $runs := .Run}}
{{- range $i, $p := .IdPairs}}
{{if $i}}union all {{end}}select {{text $p.A.Coder}} as a, {{text $p.B.Coder}} as b, {{text $p.A.Column}} as id, cast(sum(n) as bigint) as rows, count(*) as pairs,
  log2(sum(n)) - sum(n * log2(na)) / sum(n) as ha, log2(sum(n)) - sum(n * log2(nb)) / sum(n) as hb, log2(sum(n)) - sum(n * log2(n)) / sum(n) as hab
  from (select n, sum(n) over (partition by x) as na, sum(n) over (partition by y) as nb
    from (select p.{{ident $p.A.Column}} as x, q.{{ident $p.B.Column}} as y, count(*) as n from {{ident $p.A.View}} p join {{ident $p.B.View}} q using ({{if $runs}}run, {{end}}row, pos) where x >= 0 and y >= 0 group by all))
{{- end}}
)
order by overlap desc, a, b, id
