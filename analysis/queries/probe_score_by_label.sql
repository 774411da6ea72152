-- Scores of every probe by label: do the two classes lie apart?
{{- if not .Scored}}{{none "there are no codes with a score: run encode with a probe first"}}{{end}}
{{- if not (.Has "label")}}{{none "acts has no column \"label\""}}{{end}}
select * from (
{{- $run := .Run}}{{$split := .Has "split"}}
{{- range $i, $c := .Scored}}
{{if $i}}union all {{end}}select {{text $c.Coder}} as probe, {{if $split}}cast(a.split as varchar) as split, {{end}}cast(a.label as varchar) as label, count(*) as rows, avg(c.score) as mean, quantile_cont(c.score, 0.1) as p10, median(c.score) as median, quantile_cont(c.score, 0.9) as p90 from {{ident $c.View}} c join acts a on {{if $run}}c.run = a.{{ident $run}} and {{end}}c.row = a.row and c.pos = a.pos group by a.label{{if $split}}, a.split{{end}}
{{- end}}
)
order by probe, {{if .Has "split"}}split, {{end}}label
