{{/* Who may call the component, and whom it may call. */}}
{{- define "tmf-component.network-policy" -}}
{{- if .Values.networkPolicy.enabled }}
{{- $policy := .Values.networkPolicy -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "tmf-component.metadata" (dict "root" .) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tmf-component.selector" . | nindent 6 }}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: NotIn, values: [database]}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports:
        - port: 8000
      from:
        - podSelector: {}
        {{- with $policy.namespaces }}
        - namespaceSelector:
            matchExpressions:
              - key: kubernetes.io/metadata.name
                operator: In
                values: {{ toJson . }}
        {{- end }}
        {{- with $policy.from }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  egress:
    - ports:
        - {port: 53, protocol: UDP}
        - {port: 53, protocol: TCP}
    - ports:
        - port: 8000
      to:
        - podSelector: {}
    - ports:
        - port: {{ if .Values.demoDatabase.enabled }}5432{{ else }}{{ $policy.database.port }}{{ end }}
      {{- if .Values.demoDatabase.enabled }}
      to:
        - podSelector:
            matchLabels:
              {{- include "tmf-component.selector" . | nindent 14 }}
              app.kubernetes.io/component: database
      {{- else if $policy.database.to }}
      to:
        {{- toYaml $policy.database.to | nindent 8 }}
      {{- end }}
    {{- with concat $policy.egressPorts (ternary (list 6443) (list) .Values.canvas.lookup) }}
    - ports:
        {{- range . }}
        - port: {{ . }}
        {{- end }}
    {{- end }}
    {{- if and $policy.namespacePorts $policy.namespaces }}
    - ports:
        {{- range $policy.namespacePorts }}
        - port: {{ . }}
        {{- end }}
      to:
        - namespaceSelector:
            matchExpressions:
              - key: kubernetes.io/metadata.name
                operator: In
                values: {{ toJson $policy.namespaces }}
    {{- end }}
    {{- with $policy.egress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- if .Values.demoDatabase.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "name" (printf "%s-database" (include "tmf-component.name" .))) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tmf-component.selector" . | nindent 6 }}
      app.kubernetes.io/component: database
  policyTypes: [Ingress, Egress]
  ingress:
    - ports:
        - port: 5432
      from:
        - podSelector:
            matchLabels:
              {{- include "tmf-component.selector" . | nindent 14 }}
  egress: []
{{- end }}
{{- end }}
{{- end }}

{{/* What canvas.lookup reads, and nothing else. */}}
{{- define "tmf-component.role" -}}
{{- if .Values.canvas.lookup }}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "tmf-component.metadata" (dict "root" .) | nindent 2 }}
rules:
  - apiGroups: [oda.tmforum.org]
    resources: [components]
    resourceNames: [{{ include "tmf-component.name" . }}]
    verbs: [get]
  - apiGroups: [oda.tmforum.org]
    resources: [dependentapis]
    verbs: [list]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "tmf-component.metadata" (dict "root" .) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "tmf-component.name" . }}
subjects:
  - kind: ServiceAccount
    name: {{ include "tmf-component.service-account" . }}
    namespace: {{ .Release.Namespace }}
{{- end }}
{{- end }}
