{{- define "tmf-component.autoscaler" -}}
{{- if .Values.autoscaling.enabled }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "tmf-component.metadata" (dict "root" .) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "tmf-component.name" . }}
  minReplicas: {{ .Values.autoscaling.minReplicas }}
  maxReplicas: {{ .Values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .Values.autoscaling.cpuUtilization }}
  {{- with .Values.autoscaling.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "tmf-component.disruption-budget" -}}
{{- if eq .Values.availability.budget "chart" }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "tmf-component.metadata" (dict "root" .) | nindent 2 }}
spec:
  maxUnavailable: {{ .Values.availability.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "tmf-component.selector" . | nindent 6 }}
      app.kubernetes.io/component: serve
{{- end }}
{{- end }}
