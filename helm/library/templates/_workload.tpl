{{- define "tmf-component.service-account-object" -}}
{{- if .Values.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "name" (include "tmf-component.service-account" .) "annotations" .Values.serviceAccount.annotations) | nindent 2 }}
automountServiceAccountToken: false
{{- end }}
{{- end }}

{{/* The environment of every process of the component: serve, migrate. */}}
{{- define "tmf-component.environment" -}}
{{- $name := include "tmf-component.name" . -}}
{{- $v := .Values -}}
- name: HOST
  value: "0.0.0.0"
- name: PORT
  value: "8000"
- name: BASE_PATH
  value: {{ include "tmf-component.base" . }}
{{- $public := tpl $v.publicUrl . }}
{{- if or $public (not $v.canvas.lookup) }}
- name: PUBLIC_URL
  value: {{ $public | default (include "tmf-component.address" .) | quote }}
{{- end }}
- name: LISTENER_URL
  value: {{ include "tmf-component.address" . | quote }}
- name: FORWARDED_ALLOW
  value: {{ $v.forwardedAllow | quote }}
{{- if $v.demoDatabase.enabled }}
- name: DATABASE_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ $v.demoDatabase.existingSecret | default (printf "%s-database" $name) }}
      key: password
- name: DATABASE_URL
  value: "postgresql://component:$(DATABASE_PASSWORD)@{{ $name }}-database:5432/component"
{{- else }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ $v.database.existingSecret }}
      key: {{ $v.database.existingSecretKey }}
{{- end }}
- name: DATABASE_CONNECTIONS
  value: {{ $v.database.connections | quote }}
- name: AUTH_MODE
  value: {{ $v.auth.mode }}
{{- if eq $v.auth.mode "oidc" }}
- name: OIDC_ISSUER
  value: {{ tpl (coalesce $v.auth.issuer $v.global.issuer) . | quote }}
- name: OIDC_SUBJECT_CLAIM
  value: {{ $v.auth.subjectClaim | quote }}
{{- end }}
{{- with $v.auth.audience }}
- name: OIDC_AUDIENCE
  value: {{ . | quote }}
{{- end }}
{{- with $v.auth.jwksUri }}
- name: OIDC_JWKS_URI
  value: {{ . | quote }}
{{- end }}
{{- with $v.auth.permissionClaims }}
- name: OIDC_PERMISSION_CLAIMS
  value: {{ toJson . | quote }}
{{- end }}
{{- with $v.auth.rolePermissions }}
- name: ROLE_PERMISSIONS
  value: {{ toJson . | quote }}
{{- end }}
{{- with $v.auth.client.existingSecret }}
- name: CLIENT_ID
  valueFrom:
    secretKeyRef:
      name: {{ tpl . $ }}
      key: {{ $v.auth.client.idKey }}
- name: CLIENT_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ tpl . $ }}
      key: {{ $v.auth.client.secretKey }}
{{- end }}
{{- with $v.auth.client.scope }}
- name: CLIENT_SCOPE
  value: {{ . | quote }}
{{- end }}
{{- with $v.auth.client.tokenUrl }}
- name: TOKEN_URL
  value: {{ . | quote }}
{{- end }}
{{- if $v.authorities.existingConfigMap }}
- name: CA_FILE
  value: /etc/oda-cem/authorities/{{ $v.authorities.key }}
{{- end }}
{{- $addresses := dict -}}
{{- $declared := false -}}
{{- range $dependency, $set := $v.dependencies -}}
{{- with tpl $set.url $ }}{{ $_ := set $addresses $dependency . }}{{ end -}}
{{- if $set.canvas }}{{ $declared = true }}{{ end -}}
{{- end }}
- name: DEPENDENCIES
  value: {{ toJson $addresses | quote }}
{{- with $v.elsewhere }}
- name: ELSEWHERE
  value: {{ toJson . | quote }}
{{- end }}
{{- if $v.canvas.enabled }}
- name: CANVAS_NAME
  value: {{ $name }}
- name: CANVAS_SYSTEM_ROLE
  value: {{ $v.canvas.systemRole | quote }}
{{- with $v.canvas.identityListener }}
- name: TRUSTED_CALLBACKS
  value: {{ list . | toJson | quote }}
{{- end }}
{{- if and $declared $v.canvas.informationUrl }}
- name: CANVAS_INFO_URL
  value: {{ $v.canvas.informationUrl | quote }}
{{- end }}
{{- if $v.canvas.lookup }}
- name: CANVAS_KUBERNETES
  value: "true"
{{- end }}
{{- end }}
{{- range $setting, $list := dict "CALLBACK_ALLOW" $v.callbacks.allow "CALLBACK_DENY" $v.callbacks.deny "CALLBACK_ONLY" $v.callbacks.only }}
{{- with $list }}
- name: {{ $setting }}
  value: {{ toJson . | quote }}
{{- end }}
{{- end }}
- name: LOG_FORMAT
  value: {{ $v.logging.format }}
- name: LOG_LEVEL
  value: {{ $v.logging.level }}
{{- with coalesce $v.otlp.endpoint $v.global.collector }}
- name: OTLP_ENDPOINT
  value: {{ tpl . $ | quote }}
- name: TRACE_RATIO
  value: {{ $v.otlp.traceRatio | quote }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: OTEL_RESOURCE_ATTRIBUTES
  value: "k8s.namespace.name={{ $.Release.Namespace }},k8s.pod.name=$(POD_NAME)"
{{- end }}
- name: OPENBLAS_NUM_THREADS
  value: "1"
{{- range $setting, $value := $v.settings }}
- name: {{ $setting }}
  value: {{ if kindIs "string" $value }}{{ tpl $value $ | quote }}{{ else if kindIs "float64" $value }}{{ if eq $value (floor $value) }}{{ int64 $value | quote }}{{ else }}{{ $value | quote }}{{ end }}{{ else }}{{ toJson $value | quote }}{{ end }}
{{- end }}
{{- with $v.extraEnv }}
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end }}

{{- define "tmf-component.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- with .Values.authorities.existingConfigMap }}
- name: authorities
  configMap:
    name: {{ . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end }}

{{- define "tmf-component.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.authorities.existingConfigMap }}
- name: authorities
  mountPath: /etc/oda-cem/authorities
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end }}

{{- define "tmf-component.deployment" -}}
{{- $name := include "tmf-component.name" . -}}
{{- $v := .Values -}}
{{- $annotations := dict -}}
{{- if eq $v.availability.budget "canvas" -}}
{{- $_ := set $annotations "oda.tmforum.org/availability-class" $v.availability.class -}}
{{- $_ := set $annotations "oda.tmforum.org/component-function" "core" -}}
{{- $_ := set $annotations "oda.tmforum.org/componentName" $name -}}
{{- end -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "annotations" $annotations) | nindent 2 }}
spec:
  {{- if not $v.autoscaling.enabled }}
  replicas: {{ $v.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ $v.revisionHistoryLimit }}
  minReadySeconds: {{ $v.minReadySeconds }}
  selector:
    matchLabels:
      {{- include "tmf-component.selector" . | nindent 6 }}
      app.kubernetes.io/component: serve
  strategy:
    rollingUpdate:
      maxSurge: {{ $v.updateStrategy.maxSurge }}
      maxUnavailable: {{ $v.updateStrategy.maxUnavailable }}
  template:
    metadata:
      labels:
        {{- include "tmf-component.labels" . | nindent 8 }}
        app.kubernetes.io/component: serve
        {{- with $v.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .Chart.Name }}
        prometheus.io/scrape: "true"
        prometheus.io/port: "8000"
        prometheus.io/path: {{ include "tmf-component.base" . }}/metrics
        {{- with $v.podAnnotations }}
        {{- tpl (toYaml .) $ | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "tmf-component.service-account" . }}
      automountServiceAccountToken: {{ $v.canvas.lookup }}
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ $v.terminationGracePeriodSeconds }}
      {{- include "tmf-component.pull-secrets" . | nindent 6 }}
      securityContext:
        {{- include "tmf-component.pod-security" . | nindent 8 }}
      {{- with $v.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $v.runtimeClassName }}
      runtimeClassName: {{ . }}
      {{- end }}
      {{- with $v.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- if $v.topologySpreadConstraints }}
        {{- toYaml $v.topologySpreadConstraints | nindent 8 }}
        {{- else }}
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "tmf-component.selector" $ | nindent 14 }}
              app.kubernetes.io/component: serve
        {{- end }}
        {{- end }}
      {{- with $v.hostAliases }}
      hostAliases:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.dnsConfig }}
      dnsConfig:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.initContainers }}
      initContainers:
        {{- tpl (toYaml .) $ | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .Chart.Name }}
          image: {{ include "tmf-component.image" (dict "root" . "image" $v.image) }}
          imagePullPolicy: {{ $v.image.pullPolicy }}
          args: [serve{{ if eq $v.migrations.mode "start" }}, --migrate{{ end }}]
          env:
            {{- include "tmf-component.environment" . | nindent 12 }}
          {{- with $v.extraEnvFrom }}
          envFrom:
            {{- tpl (toYaml .) $ | nindent 12 }}
          {{- end }}
          ports:
            - name: http
              containerPort: 8000
          startupProbe:
            httpGet: {path: /health/startup, port: http}
            {{- toYaml $v.probes.startup | nindent 12 }}
            timeoutSeconds: 4
          readinessProbe:
            httpGet: {path: /health/ready, port: http}
            {{- toYaml $v.probes.readiness | nindent 12 }}
          livenessProbe:
            httpGet: {path: /health/live, port: http}
            {{- toYaml $v.probes.liveness | nindent 12 }}
          {{- if $v.preStopSeconds }}
          lifecycle:
            preStop:
              exec:
                command: [python, -c, "import time; time.sleep({{ $v.preStopSeconds }})"]
          {{- end }}
          securityContext:
            {{- include "tmf-component.container-security" . | nindent 12 }}
          resources:
            {{- toYaml $v.resources | nindent 12 }}
          volumeMounts:
            {{- include "tmf-component.mounts" . | nindent 12 }}
        {{- with $v.sidecars }}
        {{- tpl (toYaml .) $ | nindent 8 }}
        {{- end }}
      volumes:
        {{- include "tmf-component.volumes" . | nindent 8 }}
{{- end }}

{{- define "tmf-component.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "annotations" .Values.service.annotations) | nindent 2 }}
spec:
  type: ClusterIP
  {{- with .Values.service.ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
  {{- end }}
  selector:
    {{- include "tmf-component.selector" . | nindent 4 }}
    app.kubernetes.io/component: serve
  ports:
    - name: http
      port: 8000
      targetPort: http
      appProtocol: http
{{- end }}
