{{/* <release>-<component>: the name of every object and of the Component; the Canvas and the conformance kit expect it so. */}}
{{- define "tmf-component.name" -}}
{{- $name := printf "%s-%s" .Release.Name .Chart.Name -}}
{{- if gt (len $name) 63 -}}
{{- fail (printf "The name %s has %d characters. It is a label of every object, and these have at most 63: choose a shorter name for the release." $name (len $name)) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{- define "tmf-component.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* name: the Canvas's ServiceMonitor selects by it. */}}
{{- define "tmf-component.labels" -}}
{{ include "tmf-component.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: oda-cem
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
oda.tmforum.org/componentName: {{ include "tmf-component.name" . }}
name: {{ include "tmf-component.name" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata of an object: (dict "root" $ "name" ... "annotations" ...) */}}
{{- define "tmf-component.metadata" -}}
name: {{ .name | default (include "tmf-component.name" .root) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "tmf-component.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tmf-component.base" -}}
/{{ include "tmf-component.name" . }}
{{- end }}

{{/* Where the pods of the cluster reach the component. */}}
{{- define "tmf-component.address" -}}
http://{{ include "tmf-component.name" . }}.{{ .Release.Namespace }}.svc.{{ .Values.global.clusterDomain }}:8000
{{- end }}

{{- define "tmf-component.service-account" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "tmf-component.name" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* (dict "root" $ "image" .Values.image "tag" ...); the digest wins over the tag. */}}
{{- define "tmf-component.image" -}}
{{- $registry := .image.registry | default .root.Values.global.imageRegistry -}}
{{- with $registry }}{{ . }}/{{ end }}{{ .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end }}

{{- define "tmf-component.pull-secrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.image.pullSecrets | uniq }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "tmf-component.container-security" -}}
{{- if .Values.containerSecurityContext }}
{{- toYaml .Values.containerSecurityContext }}
{{- else -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- end }}

{{/* On the pods only the file group: a sidecar of the Canvas's secrets operator runs as root. */}}
{{- define "tmf-component.pod-security" -}}
{{- if .Values.podSecurityContext }}
{{- toYaml .Values.podSecurityContext }}
{{- else -}}
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- end }}

{{/* What the component is, written from its declaration by `make charts`. */}}
{{- define "tmf-component.facts" -}}
{{- .Files.Get "files/component.json" -}}
{{- end }}
