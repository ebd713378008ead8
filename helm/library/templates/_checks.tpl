{{/* What the schema of the values cannot say. Each refusal tells what to set. */}}
{{- define "tmf-component.checks" -}}
{{- $v := .Values -}}
{{- if and $v.database.existingSecret $v.demoDatabase.enabled -}}
{{- fail "database.existingSecret and demoDatabase.enabled exclude one another: the component has one database." -}}
{{- end -}}
{{- if not (or $v.database.existingSecret $v.demoDatabase.enabled) -}}
{{- fail (printf "Set database.existingSecret to a Secret whose key %q holds postgresql://user:password@host:5432/database, or demoDatabase.enabled=true for a trial." $v.database.existingSecretKey) -}}
{{- end -}}
{{- if and (eq $v.auth.mode "oidc") (not (coalesce $v.auth.issuer $v.global.issuer)) -}}
{{- fail "Set auth.issuer to the issuer of the bearer tokens (or auth.mode=none where nobody but you reaches the component)." -}}
{{- end -}}
{{- if and (eq $v.migrations.mode "job") $v.demoDatabase.enabled -}}
{{- fail "migrations.mode=job runs before the demo database is there: use migrations.mode=start with demoDatabase.enabled." -}}
{{- end -}}
{{- if and $v.canvas.lookup (not $v.canvas.enabled) -}}
{{- fail "canvas.lookup reads the Component, which canvas.enabled=false does not write." -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is larger than autoscaling.maxReplicas." -}}
{{- end -}}
{{- if ge (int $v.preStopSeconds) (int $v.terminationGracePeriodSeconds) -}}
{{- fail "preStopSeconds leaves nothing of terminationGracePeriodSeconds for the end itself." -}}
{{- end -}}
{{- $quota := $v.canvas.gateway.quota -}}
{{- if ne (empty $quota.limit) (empty $quota.identifier) -}}
{{- fail "canvas.gateway.quota has both identifier and limit, or neither." -}}
{{- end -}}
{{- $facts := include "tmf-component.facts" . | fromJson -}}
{{- $known := list -}}
{{- range $facts.apis }}{{ $known = append $known .name }}{{ end -}}
{{- range $name, $set := $v.canvas.apis -}}
{{- if not (has $name $known) -}}
{{- fail (printf "canvas.apis.%s: there is no such API. There are %s." $name (join ", " $known)) -}}
{{- end -}}
{{- end -}}
{{- $ids := list -}}
{{- range $facts.apis }}{{ if hasPrefix "TMF" .id }}{{ $ids = append $ids .id }}{{ end }}{{ end -}}
{{- range $id, $url := $v.elsewhere -}}
{{- if not (has $id $ids) -}}
{{- fail (printf "elsewhere.%s: there is no such API. There are %s." $id (join ", " $ids)) -}}
{{- end -}}
{{- end -}}
{{- range $name, $set := $v.dependencies -}}
{{- if and $set.canvas (not (tpl $set.specificationUrl $)) -}}
{{- fail (printf "dependencies.%s.canvas needs dependencies.%s.specificationUrl: the Canvas finds a provider by exactly this address." $name $name) -}}
{{- end -}}
{{- end -}}
{{- end }}
