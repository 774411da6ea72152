-- Rows per group and label: how the data set is divided
{{- if not (.Has "group")}}{{none "acts has no column \"group\": give the data set one, so that splits can keep groups together"}}{{end}}
select "group"{{if .Has "label"}}, count(distinct label) as labels{{end}}, count(distinct {{if .Run}}({{ident .Run}}, row){{else}}row{{end}}) as prompts, count(*) as rows, min(n_tokens) as shortest, max(n_tokens) as longest
from acts
group by "group"
order by rows desc, "group"
