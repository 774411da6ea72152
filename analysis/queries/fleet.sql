-- The fleet: units, rows and time of every node
select node, max(host) as host, count(distinct file) as starts,
       count(*) filter (event = 'commit') as won,
       count(*) filter (event = 'lost') as lost,
       count(*) filter (event = 'drop') as dropped,
       count(*) filter (event = 'error') as errors,
       sum(rows) filter (event = 'commit')::bigint as rows,
       sum(bytes) filter (event = 'commit')::bigint as bytes,
       sum(seconds) filter (event = 'commit') as busy_seconds,
       sum(rows) filter (event = 'commit') / nullif(sum(seconds) filter (event = 'commit'), 0) as rows_per_second,
       count(*) filter (event = 'leave') = count(distinct file) as left_orderly
from log
group by node
order by node
