{{- define "tmf-component.notes" -}}
{{- $name := include "tmf-component.name" . -}}
{{- $space := .Release.Namespace -}}
{{ $name }} {{ .Chart.AppVersion }} is being installed. What to do next:

1. Wait until it is ready (the schema is brought up to date first):
     kubectl -n {{ $space }} rollout status deployment/{{ $name }}
2. Ask it:
     helm -n {{ $space }} test {{ .Release.Name }} --logs
     kubectl -n {{ $space }} port-forward service/{{ $name }} 8000
   then http://127.0.0.1:8000{{ include "tmf-component.base" . }}/docs
{{- if .Values.canvas.enabled }}
3. See it become Complete at the Canvas:
     kubectl -n {{ $space }} get component {{ $name }}
   It hangs at
     In-Progress-CompCon    an API has no address or no ready pod:  kubectl -n {{ $space }} get exposedapis
     In-Progress-IDConfOp   the identity operator is missing:       kubectl -n {{ $space }} get identityconfigs
     In-Progress-DepApi     a declared dependency has no provider:  kubectl -n {{ $space }} get dependentapis
   docs/canvas.md tells the rest.
{{- end }}
{{- if eq .Values.auth.mode "none" }}

SECURITY IS OFF (auth.mode=none): every caller that the NetworkPolicy admits may do everything.
{{- end }}
{{- if .Values.demoDatabase.enabled }}

The demo database is for a trial: one pod, no backup{{ if .Values.demoDatabase.persistence }}; the claim data-{{ $name }}-database-0 stays until you delete it{{ end }}.
{{- end }}
{{- if and (not .Values.canvas.enabled) (not .Values.networkPolicy.enabled) }}

There is no NetworkPolicy.
{{- end }}
{{- end }}
