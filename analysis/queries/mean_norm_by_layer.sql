-- Mean norm of every vector column, by site and layer
{{- if not .Vectors}}{{none "acts has no vector columns"}}{{end}}
select * from (
{{- range $i, $v := .Vectors}}
{{if $i}}union all {{end}}select {{text $v.Site}} as site, {{$v.Layer}} as layer, {{text $v.Variant}} as variant, count({{ident $v.Name}}) as rows, avg(l2({{ident $v.Name}})) as mean_norm, stddev_samp(l2({{ident $v.Name}})) as sd, max(l2({{ident $v.Name}})) as largest from acts
{{- end}}
)
order by list_position(['Wqkv', 'out_proj', 'fc1', 'fc2', 'resid'], site), variant, layer
