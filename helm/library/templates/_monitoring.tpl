{{- define "tmf-component.service-monitor" -}}
{{- if .Values.monitoring.serviceMonitor.enabled }}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "labels" .Values.monitoring.serviceMonitor.labels) | nindent 2 }}
spec:
  selector:
    matchLabels:
      {{- include "tmf-component.selector" . | nindent 6 }}
      name: {{ include "tmf-component.name" . }}
  endpoints:
    - port: http
      path: {{ include "tmf-component.base" . }}/metrics
      interval: {{ .Values.monitoring.serviceMonitor.interval }}
{{- end }}
{{- end }}

{{/* The chart's rules; their files know nothing of Kubernetes and are tested as they are. */}}
{{- define "tmf-component.rules" -}}
{{- if .Values.monitoring.rules.enabled }}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "labels" .Values.monitoring.rules.labels) | nindent 2 }}
spec:
  {{- .Files.Get (printf "rules/%s.yaml" .Chart.Name) | fromYaml | toYaml | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tmf-component.dashboard" -}}
{{- if .Values.monitoring.dashboard.enabled }}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "name" (printf "%s-dashboard" (include "tmf-component.name" .)) "labels" .Values.monitoring.dashboard.labels) | nindent 2 }}
data:
  {{ .Chart.Name }}.json: |
    {{- .Files.Get (printf "dashboards/%s.json" .Chart.Name) | trim | nindent 4 }}
{{- end }}
{{- end }}
