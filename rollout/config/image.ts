/**
 * Why a text does not pin an image; undefined when nothing speaks against it. An image that is looked up at run time makes a
 * roll-back impossible and a node's proof worthless: what was launched would depend on the hour.
 */
export function unpinned(value: string): string | undefined {
  const text = value.trim();
  if (text === "") return "is empty; pin the image";
  if (/^\$(latest|default)$/i.test(text))
    return `"${text}" follows the newest template version; pin the image itself`;
  if (/^(latest|newest|default|current|\*)$/i.test(text))
    return `"${text}" is not a pin: it changes under you; write the exact image`;
  if (/resolve:ssm:/i.test(text))
    return `"${text}" is looked up at every launch; write the AMI id that it stands for now`;
  if (/recommended/i.test(text) || /^\/aws\/service\//.test(text))
    return `"${text}" is a path in SSM whose value changes; write the AMI id or release version that it stands for now`;
  return undefined;
}
