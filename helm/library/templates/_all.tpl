{{/* Everything of a component, one document after the other. */}}
{{- define "tmf-component.all" -}}
{{- include "tmf-component.checks" . -}}
{{- range list "service-account-object" "role" "service" "deployment" "autoscaler" "disruption-budget" "network-policy" "demo-database" "migration-job" "test-job" "service-monitor" "rules" "dashboard" "component" "subresources" }}
{{- with include (printf "tmf-component.%s" .) $ | trim }}
---
{{ . | trimPrefix "---" | trim }}
{{- end }}
{{- end }}
{{- range .Values.extraObjects }}
---
{{ if kindIs "string" . }}{{ tpl . $ }}{{ else }}{{ tpl (toYaml .) $ }}{{ end }}
{{- end }}
{{- end }}
