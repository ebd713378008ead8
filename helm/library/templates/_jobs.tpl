{{/* Jobs are hooks that are made anew each time: the template of a Job cannot be changed. */}}
{{- define "tmf-component.job-pod" -}}
metadata:
  labels:
    {{- include "tmf-component.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .part }}
  annotations:
    sidecar.istio.io/inject: "false"
spec:
  restartPolicy: Never
  serviceAccountName: default
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- include "tmf-component.pull-secrets" .root | nindent 2 }}
  securityContext:
    {{- include "tmf-component.pod-security" .root | nindent 4 }}
  containers:
    - name: {{ .part }}
      image: {{ include "tmf-component.image" (dict "root" .root "image" .root.Values.image) }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      {{- with .command }}
      command: {{ toJson . }}
      {{- end }}
      {{- with .args }}
      args: {{ toJson . }}
      {{- end }}
      {{- with .env }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "tmf-component.container-security" .root | nindent 8 }}
      resources:
        requests: {cpu: 50m, memory: 128Mi, ephemeral-storage: 16Mi}
        limits: {memory: 512Mi, ephemeral-storage: 128Mi}
      volumeMounts:
        {{- include "tmf-component.mounts" .root | nindent 8 }}
  volumes:
    {{- include "tmf-component.volumes" .root | nindent 4 }}
{{- end }}

{{- define "tmf-component.migration-job" -}}
{{- if eq .Values.migrations.mode "job" }}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "name" (printf "%s-migrate" (include "tmf-component.name" .)) "annotations" (dict "helm.sh/hook" "pre-install,pre-upgrade" "helm.sh/hook-weight" "-5" "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded")) | nindent 2 }}
spec:
  backoffLimit: 3
  activeDeadlineSeconds: {{ .Values.migrations.timeoutSeconds }}
  ttlSecondsAfterFinished: 3600
  template:
    {{- include "tmf-component.job-pod" (dict "root" . "part" "migrate" "args" (list "migrate") "env" (include "tmf-component.environment" .)) | nindent 4 }}
{{- end }}
{{- end }}

{{/* helm test: the component answers at its Service, under its whole path. */}}
{{- define "tmf-component.test-job" -}}
{{- $facts := include "tmf-component.facts" . | fromJson -}}
{{- $paths := list "/health/ready" (printf "%s/metrics" (include "tmf-component.base" .)) (include "tmf-component.base" .) -}}
{{- range $facts.apis -}}
{{- if not (hasKey $.Values.elsewhere .id) -}}
{{- $path := printf "%s/%s" (include "tmf-component.base" $) .path -}}
{{- range $version, $_ := .versions }}{{ $paths = append $paths (printf "%s/%s/openapi.json" $path $version) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $script := printf "import http.client\nfor path in %s:\n    c = http.client.HTTPConnection('%s', 8000, timeout=10)\n    c.request('GET', path)\n    status = c.getresponse().status\n    print(status, path, flush=True)\n    assert status == 200, path\n" (toJson $paths) (include "tmf-component.name" .) -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "name" (printf "%s-test" (include "tmf-component.name" .)) "annotations" (dict "helm.sh/hook" "test" "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded")) | nindent 2 }}
spec:
  backoffLimit: 2
  activeDeadlineSeconds: 300
  template:
    {{- include "tmf-component.job-pod" (dict "root" . "part" "test" "command" (list "python" "-c" $script)) | nindent 4 }}
{{- end }}
