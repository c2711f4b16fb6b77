/** Labels by which the controllers of Kubernetes know a pod as one of theirs: with them it would be adopted, or counted. */
export const OWNERS_LABEL =
  /^(pod-template-hash|pod-template-generation|controller-revision-hash|controller-uid|job-name|statefulset\.kubernetes\.io\/pod-name|apps\.kubernetes\.io\/pod-index|batch\.kubernetes\.io\/.*)$/;
